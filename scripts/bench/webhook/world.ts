import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { Pool } from 'undici';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { untilTrue } from '../conditions.ts';
import type { Surroundings } from '../surroundings.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const name = 'fleet';
const token = 'bench-token';

export type WebhookWorld = {
  database: Database;
  /** Posts a notification; resolves when it was answered with 202. */
  post(body: string): Promise<void>;
  /** Events that reached the broker. */
  published(): number;
  stop(): Promise<void>;
};

/** The webhook as a process of its own, a PostgreSQL that waits for its disk behind PgBouncer, a broker that takes everything. */
export async function openWebhookWorld({ folder, processes, say }: Surroundings): Promise<WebhookWorld> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const password = generatePassword();
  const postgres = await startPostgres({ processes, folder, name: 'platform' });
  const direct = { host: postgres.host, port: postgres.port };
  const admin = new Client({
    ...direct,
    user: postgres.superuser,
    password: postgres.superuserPassword,
    database: 'postgres',
  });
  await admin.connect();
  await admin.query(`create role ${name} login password '${password}'`);
  await admin.query(`create database ${name} owner ${name}`);
  await admin.end();
  await migrate({ ...direct, database: name, user: name, password });
  const users = [{ name, password }];
  const bouncer = await startPgBouncer({ processes, folder: join(folder, 'pgbouncer'), target: direct, users });
  let published = 0;
  const broker = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      published += 1;
      response.writeHead(202).end();
    });
  }).listen(0, '127.0.0.1');
  const port = await freePort();
  await writeFile(join(folder, 'password'), password, { mode: 0o600 });
  await writeFile(join(folder, 'token'), token, { mode: 0o600 });
  const webhook = await processes.start({
    name: 'billing-webhook',
    command: process.execPath,
    args: [join(root, 'functions/billing-webhook/main.ts')],
    env: {
      ...{ PORT: String(port), NODE_ENV: 'production', PATH: '/usr/bin:/bin', LOG_LEVEL: 'warn' },
      ...{ PLATFORM_POSTGRES_HOST: bouncer.host, PLATFORM_POSTGRES_PORT: String(bouncer.port) },
      ...{ PLATFORM_POSTGRES_DB: name, PLATFORM_POSTGRES_USER: name },
      PLATFORM_POSTGRES_PASSWORD_FILE: join(folder, 'password'),
      KILL_BILL_WEBHOOK_TOKEN_FILE: join(folder, 'token'),
      BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}`,
    },
    logFile: join(folder, 'billing-webhook.log'),
  });
  const client = new Pool(`http://127.0.0.1:${port}`, { connections: 50 });
  const database = openDatabase({
    ...{ driver: 'pg', host: bouncer.host, port: bouncer.port, database: name, user: name, password },
    ...{ applicationName: 'bench', maxConnections: 5, sslMode: 'disable' },
    onError: (failure) => say(failure.message),
  });
  await untilTrue('the webhook to be ready', () => isReady(client), { timeoutMs: 20_000, everyMs: 50 });
  return {
    database,
    post: (body) => post(client, body),
    published: () => published,
    async stop() {
      await client.close();
      await webhook.stop();
      await database.end();
      broker.close();
      broker.closeAllConnections();
      await bouncer.stop();
      await postgres.stop();
    },
  };
}

async function post(client: Pool, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await client.request({ method: 'POST', path: `/kill-bill?token=${token}`, headers, body });
  await answer.body.dump();
  if (answer.statusCode !== 202) throw new Error(`the webhook answered ${answer.statusCode}`);
}

async function isReady(client: Pool): Promise<boolean> {
  const answer = await client.request({ method: 'GET', path: '/readyz' }).catch(() => undefined);
  await answer?.body.dump();
  return answer?.statusCode === 200;
}

/** What one row of a notification holds at the least. */
export async function bareInsert(database: Database): Promise<void> {
  await database.query(
    `insert into billing_notifications (form, key, content_hash, type, account_id) values ('kill-bill', $1, $1, 'PING', $2)`,
    [randomBytes(32), 'bench'],
  );
}
