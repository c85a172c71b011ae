import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { request } from 'undici';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { type RedisServer, startRedis } from '#shared/sandbox/servers/redis.ts';
import { untilTrue } from '../conditions.ts';
import type { Surroundings } from '../surroundings.ts';
import { customerId, type Filled, fillFleet } from './rows.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const name = 'fleet';

export type ApiWorld = Filled & {
  /** The function `api`, in a process of its own. */
  api: Server;
  /** `servers/bare.ts`, in another, beside the same servers. */
  bare: Server;
  redis: RedisServer;
  /** Takes away what waits to be published: `servers/bare.ts` publishes nothing, and what it wrote is not the function's work. */
  forgetEvents(): Promise<void>;
  stop(): Promise<void>;
};

type Server = { url: string; pid: number };
type Place = Pick<Surroundings, 'folder' | 'processes' | 'say'>;

/** A PostgreSQL that waits for its disk, behind PgBouncer; Redis; a broker that takes everything; `instances` rows. */
export async function openApiWorld({ folder, processes, say }: Place, instances: number): Promise<ApiWorld> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const password = generatePassword();
  const postgres = await startPostgres({ processes, folder, name: 'platform' });
  const direct = { host: postgres.host, port: postgres.port };
  const { superuser: user, superuserPassword } = postgres;
  const admin = new Client({ ...direct, user, password: superuserPassword, database: 'postgres' });
  await admin.connect();
  await admin.query(`create role ${name} login password '${password}'`);
  await admin.query(`create database ${name} owner ${name}`);
  await admin.end();
  await migrate({ ...direct, database: name, user: name, password });
  const users = [{ name, password }];
  const bouncer = await startPgBouncer({ processes, folder: join(folder, 'pgbouncer'), target: direct, users });
  const redis = await startRedis({ processes, folder: join(folder, 'redis'), password: generatePassword() });
  const filled = await fill({ host: bouncer.host, port: bouncer.port, password, say }, instances);
  const broker = createServer((incoming, response) => {
    incoming.resume();
    incoming.on('end', () => response.writeHead(202).end());
  }).listen(0, '127.0.0.1');
  await once(broker, 'listening');
  const brokerUrl = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`;
  const api = await startApi({ processes, folder, password, bouncer, redis, brokerUrl });
  const bare = await startServer({ processes, folder }, 'bare', {
    ...{ DATABASE_HOST: bouncer.host, DATABASE_PORT: String(bouncer.port), DATABASE_NAME: name },
    ...{ DATABASE_PASSWORD_FILE: join(folder, 'password'), CUSTOMER_ID: customerId },
  });
  return {
    ...filled,
    api,
    bare,
    redis,
    async forgetEvents() {
      const client = new Client({ ...direct, user: name, password, database: name });
      await client.connect();
      await client.query('update outbox set published_at = clock_timestamp() where published_at is null');
      await client.end();
    },
    async stop() {
      await Promise.all([api.stop(), bare.stop()]);
      broker.close();
      broker.closeAllConnections();
      await redis.stop();
      await bouncer.stop();
      await postgres.stop();
    },
  };
}

type Address = { host: string; port: number };

async function fill({ say, ...address }: Address & { password: string } & Pick<Place, 'say'>, instances: number) {
  const database = openDatabase({
    ...{ ...address, driver: 'pg', database: name, user: name },
    ...{ applicationName: 'bench', sslMode: 'disable' },
    onError: (failure) => say(failure.message),
  });
  try {
    return await fillFleet(database, instances);
  } finally {
    await database.end();
  }
}

type ApiParts = Pick<Place, 'folder' | 'processes'> & {
  password: string;
  bouncer: Address;
  redis: RedisServer;
  brokerUrl: string;
};

/** As shipped, but for limits that a load of one customer would meet. */
async function startApi({ processes, folder, password, bouncer, redis, brokerUrl }: ApiParts) {
  const file = async (called: string, text: string) => {
    const path = join(folder, called);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const ring = { current: 'k1', keys: { k1: randomBytes(32).toString('base64') } };
  return await startServer({ processes, folder }, 'api', {
    ...{ PLATFORM_POSTGRES_HOST: bouncer.host, PLATFORM_POSTGRES_PORT: String(bouncer.port) },
    ...{ PLATFORM_POSTGRES_DB: name, PLATFORM_POSTGRES_USER: name },
    PLATFORM_POSTGRES_PASSWORD_FILE: await file('password', password),
    ...{ REDIS_HOST: redis.host, REDIS_PORT: String(redis.port) },
    REDIS_PASSWORD_FILE: await file('redis-password', redis.password),
    WEBHOOK_KEYS_FILE: await file('webhook-keys', JSON.stringify(ring)),
    ...{ BROKER_URL: brokerUrl, LOG_LEVEL: 'warn', FUNCTION_TARGET: 'api' },
    ...{ RATE_LIMIT_READS: '100000', RATE_LIMIT_WRITES: '100000' },
  });
}

const programs = { api: 'functions/api/main.ts', bare: 'scripts/bench/api/servers/bare.ts' } as const;

async function startServer(
  { processes, folder }: Pick<Place, 'folder' | 'processes'>,
  called: keyof typeof programs,
  env: Record<string, string>,
): Promise<Server & { stop(): Promise<unknown> }> {
  const port = await freePort();
  const started = await processes.start({
    name: called,
    command: process.execPath,
    args: [join(root, programs[called])],
    env: { PORT: String(port), NODE_ENV: 'production', PATH: '/usr/bin:/bin', ...env },
    logFile: join(folder, `${called}.log`),
  });
  const url = `http://127.0.0.1:${port}`;
  await untilTrue(`${called} to be ready`, () => isReady(url), { timeoutMs: 30_000, everyMs: 50 });
  return { url, pid: started.pid, stop: () => started.stop() };
}

async function isReady(url: string): Promise<boolean> {
  const answer = await request(`${url}/readyz`).catch(() => undefined);
  await answer?.body.dump();
  return answer?.statusCode === 200;
}
