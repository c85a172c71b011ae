import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import { openResender } from '#shared/adapters/eventing/resend.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { scopesOfRole } from '#shared/domain/access/principal.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import { openAccess } from '#shared/runtime/access/open.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { access as accessRows } from '#shared/runtime/edge-rows.ts';
import { eventsOfRequest } from '#shared/runtime/own-events.ts';
import { cache as cacheRows } from '#shared/runtime/rows.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { proofToken } from './fault-calls.fixture.ts';
import { apiOfThisFile, type ServedApi } from './served-api.fixture.ts';

/** What the API cannot do its work without, or can. */
export type Part = 'bouncer' | 'server' | 'redis' | 'broker';

/** An API whose parts can be taken away: PgBouncer, the PostgreSQL behind it, Redis, the broker. */
export type FaultWorld = {
  api: ServedApi;
  /** The header of an admin's API key, which is looked up in the records. */
  authorization: string;
  /** Straight to the server, whatever is away. */
  records: Database;
  take(part: Part, how: 'down' | 'hangs'): void;
  /** Gives all back, and waits until the API finds them and nothing of what came meanwhile is still at work. */
  giveBack(): Promise<void>;
};

/** Call it at the top of the file. */
export function faultWorldOfThisFile(): () => FaultWorld {
  const proxies = new Map<Part, TcpProxy>();
  const proxy = (part: Part): TcpProxy => {
    const found = proxies.get(part);
    if (found === undefined) throw new Error(`the proxy of the ${part} is started in beforeAll`);
    return found;
  };
  let processes: ProcessGroup | undefined;
  let folder: string | undefined;
  const broker = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(202).end());
  });
  const fresh = databaseOfThisFile();
  beforeAll(async () => {
    const { postgres, redis, platform } = sharedServers();
    await once(broker.listen(0, '127.0.0.1'), 'listening');
    processes = await openProcessGroup();
    folder = await mkdtemp(join(tmpdir(), 'fleet-faults-'));
    const server = await startTcpProxy(postgres);
    const bouncer = await startPgBouncer({
      processes,
      folder: join(folder, 'pgbouncer'),
      target: server,
      users: [{ name: platform.user, password: platform.password }],
    });
    proxies.set('server', server);
    proxies.set('bouncer', await startTcpProxy(bouncer));
    proxies.set('redis', await startTcpProxy(redis));
    proxies.set('broker', await startTcpProxy({ host: '127.0.0.1', port: (broker.address() as AddressInfo).port }));
  });

  const ends: (() => Promise<unknown>)[] = [];
  const api = apiOfThisFile({
    made: () => ({ ...fresh(), pooled: proxy('bouncer') }),
    // one for each route: none is to wait for those that hang
    connections: 100,
    redis: () => proxy('redis'),
    access({ database, log }) {
      const { host, port } = proxy('redis');
      const env = {
        REDIS_HOST: host,
        REDIS_PORT: String(port),
        REDIS_PASSWORD_FILE: 'the run’s',
        RATE_LIMIT_READS: '100000',
        RATE_LIMIT_WRITES: '100000',
        RATE_LIMIT_EXPORTS: '100000',
      };
      const readFile = () => sharedServers().redis.password;
      const config = parseConfig(defineConfig({ ...accessRows, ...cacheRows }), env, { readFile });
      const access = openAccess(config, { database, log, namespace: `faults-${randomUUID()}` });
      ends.push(access.end);
      return access;
    },
    ports({ database, replay, log }) {
      const brokerUrl = `http://127.0.0.1:${proxy('broker').port}/`;
      const publisher = openPublisher({ brokerUrl });
      // shorter than in production, where a function may have to be started first
      const resender = openResender({ timeoutMs: 3_000 });
      ends.push(publisher.end, resender.end);
      return {
        ...eventsOfRequest({ database, publish: publisher.publish, log }),
        replay: { ...replay, brokerUrl, resend: resender.send },
        resolver: { texts: async () => [`odoo-fleet=${proofToken}`] },
      };
    },
  });

  let world: FaultWorld | undefined;
  beforeAll(async () => {
    const { database: name, user, password, direct } = fresh();
    const records = openDatabase({
      driver: 'pg',
      ...direct,
      database: name,
      user,
      password,
      applicationName: 'test records',
      sslMode: 'disable',
      onError: () => undefined,
    });
    ends.push(() => records.end());
    await insertCatalogue(records);
    await insertServer(records, { id: 'pg-1', maxInstances: 100_000 });
    const grant = { role: 'admin', customerId: null, scopes: scopesOfRole.admin } as const;
    const wanted = { grant, name: 'faults', expiresAt: new Date(Date.now() + 86_400_000), by: 'a test' };
    const key = await records.transaction((transaction) => mintKey(transaction, wanted));
    const authorization = `Bearer ${key.text}`;
    // known from here on, whatever becomes of the records
    await api().ask('nobody', 'GET', '/v1/me', { headers: { authorization } });
    world = {
      api: api(),
      authorization,
      records,
      take(part, how) {
        if (how === 'hangs') proxy(part).hold();
        else proxy(part).refuse();
        if (how === 'down') proxy(part).cutAll();
      },
      async giveBack() {
        for (const one of proxies.values()) {
          one.accept();
          one.goOn();
        }
        const health = async () => (await api().ask('nobody', 'GET', '/v1/health')).body.status;
        await expect.poll(health, { timeout: 30_000 }).toMatch(/^(healthy|degraded)$/);
        const isRedisThere = () => api().ports.isRedisReachable();
        await expect.poll(isRedisThere, { timeout: 30_000 }).toBe(true);
        await expect.poll(() => busy(records), { timeout: 30_000 }).toBe(0);
      },
    };
  });
  afterAll(async () => {
    for (const end of ends) await end();
    for (const one of proxies.values()) await one.close();
    broker.closeAllConnections();
    broker.close();
    await processes?.stopAll();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });
  return () => {
    if (world === undefined) throw new Error('the world is made in beforeAll: ask for it inside a test');
    return world;
  };
}

/** Sessions in the database that are at something, besides the one that asks. */
async function busy(records: Database): Promise<number> {
  const { rows } = await records.query<{ count: number }>(
    `select count(*)::integer as count from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`,
  );
  return rows[0]?.count ?? 0;
}
