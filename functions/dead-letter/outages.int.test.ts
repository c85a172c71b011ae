import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { request } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { makeWorld, post, type World } from './world.fixture.ts';

const made = databaseOfThisFile();
const database = platformOfThisFile(made);
let world: World;
let proxy: TcpProxy;
/** By way of the proxy: the way the function goes. */
let records: Database;

beforeEach(async () => {
  await database().query('truncate dead_events, inbox');
  world = await makeWorld(database());
  const { user, password, pooled, database: name } = made();
  proxy = await startTcpProxy(pooled);
  const place = { host: proxy.host, port: proxy.port, database: name, user, password };
  records = openDatabase({
    driver: 'pg',
    ...place,
    applicationName: 'test',
    sslMode: 'disable',
    onError: () => undefined,
  });
});
afterEach(async () => {
  await records.end();
  await proxy.close();
  await world.stop();
});

const lost = { 'ce-knativeerrorcode': '-1', 'ce-knativeerrordest': 'http://provision/' };
const spooled = async () => (await openDirectoryStore(world.spoolFolder).list({ prefix: '' })).keys;

it('what comes while PostgreSQL is down waits in the object store, and is imported by the tick', async () => {
  const url = await world.serveDeadLetters(records);
  expect(await post(url, 'before', lost)).toBe(204);
  proxy.refuse();
  proxy.cutAll();
  for (const id of ['a', 'b', 'c', 'a', 'a']) expect(await post(url, id, lost)).toBe(204);
  expect(await spooled()).toHaveLength(3);
  expect((await world.rows()).map(({ id }) => id)).toEqual(['before']);
  proxy.accept();
  expect(await world.upkeep()).toMatchObject({ imported: 3, unreadable: [] });
  expect(await spooled()).toEqual([]);
  const rows = await world.rows();
  expect(rows.map(({ id }) => String(id)).toSorted()).toEqual(['a', 'b', 'before', 'c']);
  for (const row of rows) {
    expect(row).toMatchObject({ class: 'transient', state: 'waiting', error_code: -1, origin: 'http://provision/' });
    expect(row.body.toString()).toBe(JSON.stringify({ number: row.id, exact: 'ü' }));
  }
  expect(await post(url, 'a', lost)).toBe(204);
  expect(await world.rows()).toHaveLength(4);
});

it('a PostgreSQL that hangs holds nobody up, and what it does late in the end makes no second row', async () => {
  const url = await world.serveDeadLetters(records, { timeoutMs: 300 });
  const { direct, user, password, database: name } = made();
  const blocker = new Client({ ...direct, user, password, database: name });
  await blocker.connect();
  try {
    await blocker.query('begin; lock table dead_events in access exclusive mode');
    const begun = performance.now();
    const statuses = await Promise.all(['a', 'b', 'c'].map((id) => post(url, id, lost)));
    expect(statuses).toEqual([204, 204, 204]);
    expect(performance.now() - begun).toBeLessThan(15_000);
    expect(await spooled()).toHaveLength(3);
    await blocker.query('rollback');
  } finally {
    await blocker.end();
  }
  // what waited for the lock has had its end: the row, or its own limit of time
  const busy = `select from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
  await expect.poll(async () => (await database().query(busy)).rows.length, { timeout: 15_000 }).toBe(0);
  await world.upkeep();
  expect(await spooled()).toEqual([]);
  expect((await world.rows()).map(({ id }) => String(id)).toSorted()).toEqual(['a', 'b', 'c']);
});

it('an import that is killed before it removes the object imports the same row again', async () => {
  const url = await world.serveDeadLetters(records);
  proxy.refuse();
  proxy.cutAll();
  await post(url, 'a', lost);
  const spool = openDirectoryStore(world.spoolFolder);
  const onTrouble = () => undefined;
  await world.upkeep({ onTrouble, spool: { ...spool, remove: () => Promise.reject(new Error('killed')) } });
  expect(await spooled()).toHaveLength(1);
  expect(await world.rows()).toHaveLength(1);
  expect(await world.upkeep()).toMatchObject({ imported: 1 });
  expect(await world.rows()).toMatchObject([{ id: 'a', deliveries: 2 }]);
});

it('an object that is no dead letter is reported, left alone and holds up no other', async () => {
  const url = await world.serveDeadLetters(records);
  proxy.refuse();
  proxy.cutAll();
  await post(url, 'a', lost);
  const spool = openDirectoryStore(world.spoolFolder);
  await spool.put('dead-letters/0.json', Buffer.from('{"version":1,'));
  expect(await world.upkeep()).toMatchObject({ imported: 1, unreadable: ['dead-letters/0.json'] });
  expect(await spooled()).toEqual(['dead-letters/0.json']);
});

it('one part that fails does not keep the others from running', async () => {
  const troubles: string[] = [];
  const down = () => Promise.reject(new Error('the disk is gone'));
  const spool = { put: down, get: down, write: down, read: down, head: down, list: down, remove: down };
  const { trimmed } = await world.upkeep({ spool, onTrouble: (what) => troubles.push(what) });
  expect(troubles).toEqual(['dead letter spool']);
  expect(trimmed).toBe(0);
});

it('the same letter twice is one row, whatever its broker adds', async () => {
  const url = await world.serveDeadLetters(records);
  await Promise.all(
    [1, 2, 3].map((n) => post(url, 'a', { ...lost, 'ce-knativearrivaltime': `2026-01-0${n}T00:00:00Z` })),
  );
  expect(await world.rows()).toMatchObject([{ id: 'a', deliveries: 3 }]);
});

it('keeps what is no event byte for byte, also what is larger than an event may be', async () => {
  const url = await world.serveDeadLetters(records);
  const body = Buffer.alloc(2 * 1024 * 1024, 0xfe);
  const { statusCode, body: answer } = await request(url, { method: 'POST', body });
  expect(statusCode).toBe(204);
  expect(await answer.text()).toBe('');
  const [row] = await world.rows();
  expect(row).toMatchObject({ id: null, class: 'unknown', state: 'waiting', is_whole: true });
  expect(row?.body.equals(body)).toBe(true);
});

it('leaves no half-written object behind', async () => {
  const url = await world.serveDeadLetters(records);
  proxy.refuse();
  proxy.cutAll();
  await Promise.all(Array.from({ length: 10 }, () => post(url, 'a', lost)));
  expect(await readdir(join(world.spoolFolder, '.incoming'))).toEqual([]);
  expect(await spooled()).toHaveLength(1);
});
