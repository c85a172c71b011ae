import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { type PgBouncer, startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import type { DatabaseSurroundings } from '#shared/testing/contracts/database/world.ts';
import { databaseContract } from '#shared/testing/contracts/database.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { startWebSocketRelay, type WebSocketRelay } from '#shared/testing/websocket-relay.ts';
import { openDatabase } from './pool.ts';

// Servers of its own: the tests restart them.
let processes: ProcessGroup;
let folder: string;
let server: PostgresServer;
let bouncer: PgBouncer;
let bouncerProxy: TcpProxy;
let serverProxy: TcpProxy;
let relay: WebSocketRelay;

const user = 'fleet';
const password = 'not the right one in production';

beforeAll(async () => {
  processes = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'pool-'));
  server = await startPostgres({ processes, folder, name: 'platform', durable: false });
  await asAdmin(`create role ${user} login password '${password}'`);
  bouncer = await startPgBouncer({
    processes,
    folder: join(folder, 'bouncer'),
    target: server,
    users: [{ name: user, password }],
  });
  bouncerProxy = await startTcpProxy(bouncer);
  serverProxy = await startTcpProxy(server);
  relay = await startWebSocketRelay(bouncerProxy);
}, 60_000);
afterAll(async () => {
  await Promise.all([relay.close(), bouncerProxy.close(), serverProxy.close()]);
  await processes.stopAll();
  await removeTree(folder);
});

async function asAdmin(text: string, values: readonly unknown[] = []): Promise<unknown[]> {
  const client = new Client({
    host: server.host,
    port: server.port,
    user: server.superuser,
    password: server.superuserPassword,
    database: 'postgres',
  });
  await client.connect();
  try {
    return (await client.query(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

function surroundings(
  driver: 'pg' | 'neon',
  { proxy, restart }: { proxy: TcpProxy; restart(): Promise<void> },
): DatabaseSurroundings {
  return {
    asAdmin,
    proxy,
    restart,
    open: (options = {}) =>
      openDatabase({
        driver,
        host: proxy.host,
        port: proxy.port,
        database: 'postgres',
        user,
        password,
        applicationName: 'contract',
        sslMode: 'disable',
        ...(driver === 'neon' ? { webSocketUrl: relay.url } : {}),
        onError: () => undefined,
        ...options,
      }),
  };
}

databaseContract('pg through PgBouncer in transaction mode', () =>
  surroundings('pg', { proxy: bouncerProxy, restart: () => bouncer.restart() }),
);
databaseContract('pg straight to the server', () =>
  surroundings('pg', { proxy: serverProxy, restart: () => server.restart() }),
);
databaseContract('the Neon driver over a WebSocket relay to PgBouncer', () =>
  surroundings('neon', { proxy: bouncerProxy, restart: () => bouncer.restart() }),
);
