import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { type PgBouncer, startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { type DatabaseSurroundings, failureOf } from '#shared/testing/contracts/database/world.ts';
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

// Once, not per way: it takes as long as an answer is waited for.
test('after a lost answer to COMMIT, with nobody to ask, the outcome is unknown', async () => {
  const way = surroundings('pg', { proxy: bouncerProxy, restart: () => bouncer.restart() });
  await asAdmin('create table receipts (name text)');
  await asAdmin('grant all on receipts to public');
  const database = way.open();
  let runs = 0;
  const cut = bouncerProxy.cutAt('commit\0', { when: 'after' });
  const done = failureOf(
    database.transaction(async (transaction) => {
      runs += 1;
      await transaction.query('insert into receipts values ($1)', ['a']);
    }),
  );
  await cut;
  bouncerProxy.refuse();
  bouncerProxy.cutAll();
  expect((await done).code).toBe('outcome-unknown');
  bouncerProxy.accept();
  await database.end();
  expect(runs).toBe(1);
  expect(await asAdmin('select name from receipts')).toEqual([{ name: 'a' }]);
});

test('a bouncer that lets no more clients in is unavailable, until one leaves', async () => {
  const narrow = await startPgBouncer({
    processes,
    folder: join(folder, 'narrow'),
    target: server,
    users: [{ name: user, password }],
    maxClientConn: 1,
  });
  const proxy = await startTcpProxy(narrow);
  const way = surroundings('pg', { proxy, restart: () => narrow.restart() });
  const [first, second] = [way.open(), way.open()];
  await first.query('select 1');
  const failure = await failureOf(second.query('select 1'));
  expect(failure.code).toBe('unavailable');
  expect(failure.message).toContain('PgBouncer has no connection left');
  await first.end();
  await vi.waitFor(() => second.query('select 1'), 15_000);
  await second.end();
  await proxy.close();
  await narrow.stop();
});

test('a server that is down behind its bouncer is told of in time, and used when it is back', async () => {
  const way = surroundings('pg', { proxy: bouncerProxy, restart: () => bouncer.restart() });
  const database = way.open({ queryTimeoutMs: 3_000 });
  await database.query('select 1');
  await server.stop();
  const failures = [
    await failureOf(database.query('select 1')),
    await failureOf(database.transaction((transaction) => transaction.query('select 1'), { statementTimeoutMs: 500 })),
  ];
  for (const { code } of failures) expect(['unavailable', 'timeout']).toContain(code);
  await server.restart();
  await vi.waitFor(() => database.query('select 1'), { timeout: 15_000, interval: 100 });
  expect(await database.transaction(async () => 'done')).toBe('done');
  await database.end();
}, 60_000);

test('an answer that came while the process stood still is no late one', async () => {
  const database = openDatabase({
    driver: 'pg',
    host: bouncer.host,
    port: bouncer.port,
    database: 'postgres',
    user,
    password,
    applicationName: 'test',
    sslMode: 'disable',
    queryTimeoutMs: 500,
    onError: () => undefined,
  });
  // another process answers: a proxy of this one would stand still, too
  await vi.waitFor(() => database.query('select 1'), 15_000);
  const standStill = async () => {
    const asked = database.query('select 2 as two');
    await new Promise(setImmediate);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    return (await asked).rows;
  };
  // the whole machine may stand still just then, and nobody have answered
  expect(await vi.waitFor(standStill, 15_000)).toEqual([{ two: 2 }]);
  await database.end();
});
