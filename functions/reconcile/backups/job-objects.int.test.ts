import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import {
  beginAfresh,
  endHeld,
  holdOperation,
  insertPlacedInstance,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { loadPrefix, swapPrefix } from '#shared/domain/backup/load-names.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type JobObjectRemoval, keptMs, makeJobObjectRemoval } from './job-objects.ts';

const platform = platformOfThisFile();
let database: Database;
let folder: string;
let store: ObjectStore;
let instanceId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await beginAfresh(database);
  folder = await mkdtemp(join(tmpdir(), 'job-objects-'));
  store = openDirectoryStore(folder);
  instanceId = await insertPlacedInstance(database, 1);
});
afterEach(() => rm(folder, { recursive: true }));

function makeRemoval(change: Partial<JobObjectRemoval> = {}) {
  const troubles: string[] = [];
  const onTrouble = (what: string) => void troubles.push(what);
  const run = makeJobObjectRemoval({ database, holder: 'test', reader: store, remover: store, onTrouble, ...change });
  return {
    troubles,
    async run() {
      await database.query('truncate leases');
      return await run();
    },
  };
}

/** What the Jobs of an operation's two rounds leave. */
async function leave(operationId: string, id = instanceId): Promise<string[]> {
  const rounds = [1, 2].map((round) => ({ instanceId: id, operationId, round }));
  const keys = rounds.flatMap((place) => [
    `${loadPrefix(place)}/result`,
    ...['ready', 'go', 'result'].map((name) => `${swapPrefix(place)}/${name}`),
    `tidies/${id}/${operationId}/${place.round}/progress`,
  ]);
  for (const key of keys) await store.put(key, Buffer.from('x'));
  return keys;
}

async function left(): Promise<string[]> {
  return [...(await store.list({ prefix: '' })).keys];
}

/** An operation that is over for so long. */
async function over(hours: number, state: 'succeeded' | 'failed' = 'succeeded', id = instanceId): Promise<string> {
  const operation = await holdOperation(database, id, 'restore');
  await endHeld(database, operation.id, state);
  await database.query(`update operations set finished_at = clock_timestamp() - $2 * interval '1 hour' where id = $1`, [
    operation.id,
    hours,
  ]);
  return operation.id;
}

test('what Jobs wrote goes a day after their operation is over, and no other object', async () => {
  for (const state of ['succeeded', 'failed'] as const) await leave(await over(25, state));
  const stay = await leave(await over(23));
  const atWork = await holdOperation(database, instanceId, 'restore');
  stay.push(...(await leave(atWork.id)));
  for (const key of [`backups/${instanceId}/b/manifest`, `files/${instanceId}/ab/abc`, 'loads/something/else']) {
    await store.put(key, Buffer.from('x'));
    stay.push(key);
  }
  const removal = makeRemoval();
  expect(await removal.run()).toEqual({ removed: 20 });
  expect(await left()).toEqual(stay.toSorted());
  expect(await removal.run()).toEqual({ removed: 0 });
  expect(removal.troubles).toEqual([]);
});

test('of a purged instance it goes at once', async () => {
  const other = await insertPlacedInstance(database, 2);
  await leave(await over(0));
  const stay = await leave(await over(0, 'succeeded', other), other);
  await database.query(
    `update instances set purged_at = now(), host = null, status = 'terminated', desired_state = 'terminated' where id = $1`,
    [instanceId],
  );
  expect(await makeRemoval().run()).toEqual({ removed: 10 });
  expect(await left()).toEqual(stay.toSorted());
});

test('what no record knows stays until it is a day old', async () => {
  await leave(randomUUID());
  expect(await makeRemoval().run()).toEqual({ removed: 0 });
  const later = makeRemoval({ clock: () => Date.now() + keptMs + 60_000 });
  expect(await later.run()).toEqual({ removed: 10 });
  expect(await left()).toEqual([]);
});

test('an object that cannot be removed is told of and keeps no other waiting', async () => {
  const stuck = (await leave(await over(25)))[0];
  await leave(await over(25));
  const remove = (key: string) =>
    key === stuck ? Promise.reject(new Failure('not-allowed', 'It is locked.')) : store.remove(key);
  const removal = makeRemoval({ remover: { list: store.list, remove } });
  await removal.run();
  expect(removal.troubles).toEqual([`objects below ${stuck?.split('/').slice(0, 3).join('/')}/`]);
  expect(await left()).toContain(stuck);
  expect((await left()).every((key) => key.split('/')[2] === stuck?.split('/')[2] && key.startsWith('loads/'))).toBe(
    true,
  );
});

test('a tick that has no more time is gone on with by the next, behind what it has looked at', async () => {
  await leave(await over(25));
  const atWork = await holdOperation(database, instanceId, 'restore');
  const stay = await leave(atWork.id);
  const pages: (string | undefined)[] = [];
  const list: ObjectStore['list'] = ({ prefix, after }) => {
    pages.push(after ?? prefix);
    return store.list({ prefix, after, limit: 1 });
  };
  const removal = makeRemoval({ remover: { list, remove: store.remove }, budgetMs: -1 });
  let ticks = 0;
  do {
    await removal.run();
    ticks += 1;
  } while ((await left()).length > stay.length && ticks < 50);
  expect(await left()).toEqual(stay.toSorted());
  expect(ticks).toBeLessThan(25);
  expect(new Set(pages).size).toBe(pages.length);
});
