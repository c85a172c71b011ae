import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { endAbandoned, endUnfinished } from './backup-ends.ts';
import {
  aSuccess,
  clearBackups,
  endHeld,
  type HeldOperation,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  takeOver,
} from './backup-records.fixture.ts';
import { backupRecords } from './backup-records.ts';
import type { Database } from './database.ts';

const platform = platformOfThisFile();
let database: Database;
let records: ReturnType<typeof backupRecords>;
beforeAll(async () => {
  database = platform();
  records = backupRecords(database);
  await insertCatalogue(database);
});
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 50 });
});

const begin = (operation: HeldOperation, instanceId: string, key = 'dump') =>
  records.begin(operation, { instanceId, kind: 'manual', dumpKey: key, filesKey: `files ${key}` });
const slots = (count: number) => database.query('update db_servers set backup_slots = $1', [count]);

describe('the intent', () => {
  test('is a running row with what it will be made with', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const operation = await holdOperation(database, instanceId);
    const { backup, dumpKey, filesKey } = await begin(operation, instanceId);
    expect({ dumpKey, filesKey }).toEqual({ dumpKey: 'dump', filesKey: 'files dump' });
    expect(backup).toMatchObject({
      id: operation.id,
      instanceId,
      customerId: 'c-1',
      kind: 'manual',
      state: 'running',
      round: 1,
      serverId: 'one',
      previousId: null,
      manifest: null,
      sizes: null,
      proof: { state: 'none', at: null },
    });
  });

  test('is the same for every call, and the first keys count', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const operation = await holdOperation(database, instanceId);
    const first = await begin(operation, instanceId);
    await slots(0);
    expect(await begin(operation, instanceId, 'another')).toEqual(first);
  });

  test('keeps the files key of an instance for ever', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await insertBackup(database, instanceId);
    const operation = await holdOperation(database, instanceId);
    expect((await begin(operation, instanceId)).filesKey).toBe('files');
    expect(await records.filesKey(instanceId)).toBe('files');
    expect(await records.filesKey('none')).toBeUndefined();
  });

  test('names the newest backup before it', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const newest = await insertBackup(database, instanceId, { daysAgo: 1 });
    await insertBackup(database, instanceId, { daysAgo: 2 });
    const operation = await holdOperation(database, instanceId);
    expect((await begin(operation, instanceId)).backup.previousId).toBe(newest);
  });

  test('is refused to a process whose lease was taken over', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const old = await holdOperation(database, instanceId);
    await takeOver(database, { id: old.id, kind: 'backup' });
    await expect(begin(old, instanceId)).rejects.toMatchObject({ code: 'fenced' });
    expect(await records.read(old.id)).toBeUndefined();
  });

  test('is refused for an instance that is on no server', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const operation = await holdOperation(database, instanceId);
    await database.query('update instances set db_server_id = null');
    await expect(begin(operation, instanceId)).rejects.toMatchObject({ code: 'not-allowed' });
    await expect(begin(operation, 'zzzzzzzzzzzz')).rejects.toMatchObject({ code: 'not-found' });
  });

  test('waits while files of the instance are being removed, and not for those of another', async () => {
    const [instanceId, other] = [await insertPlacedInstance(database, 1), await insertPlacedInstance(database, 2)];
    await insertBackup(database, instanceId);
    const collect = (until: string) =>
      database.query(
        `update instance_keys set collected_by = 'x', collecting_until = clock_timestamp() + $1::interval
         where instance_id = $2`,
        [until, instanceId],
      );
    await collect('1 minute');
    const operation = await holdOperation(database, instanceId);
    await expect(begin(operation, instanceId)).rejects.toMatchObject({ code: 'no-capacity' });
    await begin(await holdOperation(database, other), other);
    await collect('-1 second');
    await begin(operation, instanceId);
  });
});

describe('slots of a server', () => {
  test('hold under any number that ask at once', async () => {
    await slots(3);
    const held = await Promise.all(
      Array.from({ length: 12 }, async (_, number) => {
        const instanceId = await insertPlacedInstance(database, number);
        return { instanceId, operation: await holdOperation(database, instanceId) };
      }),
    );
    const results = await Promise.allSettled(held.map(({ operation, instanceId }) => begin(operation, instanceId)));
    const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused).toHaveLength(9);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'no-capacity' });
  });

  test('are free again after an end of either kind', async () => {
    await slots(1);
    const held: HeldOperation[] = [];
    const ids: string[] = [];
    for (const number of [1, 2, 3]) {
      ids.push(await insertPlacedInstance(database, number));
      held.push(await holdOperation(database, ids.at(-1) ?? ''));
    }
    const [one, two, three] = held as [HeldOperation, HeldOperation, HeldOperation];
    await begin(one, ids[0] ?? '');
    await expect(begin(two, ids[1] ?? '')).rejects.toMatchObject({ code: 'no-capacity' });
    await records.succeed(one, aSuccess());
    await begin(two, ids[1] ?? '');
    await database.transaction((transaction) => endUnfinished(transaction, two.id, new Failure('job-failed', 'no')));
    await begin(three, ids[2] ?? '');
  });

  test('of another server are no matter', async () => {
    await insertServer(database, { id: 'two', maxInstances: 50 });
    await slots(1);
    const here = await insertPlacedInstance(database, 1);
    const there = await insertPlacedInstance(database, 2, 'two');
    await begin(await holdOperation(database, here), here);
    await begin(await holdOperation(database, there), there);
  });
});

describe('a success', () => {
  test('is written once, whoever says it again', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const operation = await holdOperation(database, instanceId);
    await begin(operation, instanceId);
    const snapshotAt = new Date('2026-03-29T01:30:00Z');
    const written = await records.succeed(operation, aSuccess({ snapshotAt }));
    expect(written).toMatchObject({
      state: 'succeeded',
      snapshotAt,
      manifest: { key: 'backups/x/y/manifest', sha256: 'ab'.repeat(32) },
      sizes: { dumpBytes: 1_000, filesBytes: 5_000_000_000, filesCount: 3, uploadedBytes: 7 },
      summary: { odooVersion: '19.0.1.3' },
    });
    expect(await records.succeed(operation, aSuccess({ snapshotAt }))).toEqual(written);
    await expect(records.succeed(operation, aSuccess({ sha256: 'cd'.repeat(32) }))).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  test('of a round that was given up, or by an old holder, is refused', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const operation = await holdOperation(database, instanceId);
    await begin(operation, instanceId);
    const next = await records.another(operation, { round: 1, dumpKey: 'second' });
    expect(next).toMatchObject({ dumpKey: 'second', backup: { round: 2, state: 'running' } });
    expect(await records.another(operation, { round: 1, dumpKey: 'third' })).toEqual(next);
    expect((await records.another(operation, { round: 2, dumpKey: 'third' })).backup.round).toBe(3);
    await expect(records.another(operation, { round: 1, dumpKey: 'x' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(records.succeed(operation, aSuccess({ round: 1 }))).rejects.toMatchObject({ code: 'conflict' });
    const heir = await takeOver(database, { id: operation.id, kind: 'backup' });
    await expect(records.succeed(operation, aSuccess({ round: 3 }))).rejects.toMatchObject({ code: 'fenced' });
    expect((await records.succeed(heir, aSuccess({ round: 3 }))).round).toBe(3);
  });
});

test('a backup that failed begins again in the next round with a key of its own', async () => {
  const instanceId = await insertPlacedInstance(database, 1);
  const operation = await holdOperation(database, instanceId);
  await begin(operation, instanceId);
  await endUnfinished(database, operation.id, new Failure('job-failed', 'the disk\nis full'));
  expect(await records.read(operation.id)).toMatchObject({
    state: 'failed',
    error: { code: 'job-failed', text: 'the disk is full' },
  });
  const again = await begin(operation, instanceId, 'second');
  expect(again).toMatchObject({
    dumpKey: 'second',
    filesKey: 'files dump',
    backup: { state: 'running', round: 2, error: null, finishedAt: null },
  });
});

test('what an operation left running ends with it, and what is at work does not', async () => {
  const ids = [await insertPlacedInstance(database, 1), await insertPlacedInstance(database, 2)] as const;
  const left = await holdOperation(database, ids[0]);
  const atWork = await holdOperation(database, ids[1]);
  await begin(left, ids[0]);
  await begin(atWork, ids[1]);
  await endHeld(database, left.id, 'failed');
  expect(await endAbandoned(database, { limit: 10 })).toBe(1);
  expect(await endAbandoned(database, { limit: 10 })).toBe(0);
  expect((await records.read(left.id))?.state).toBe('failed');
  expect((await records.read(atWork.id))?.state).toBe('running');
});

test('progress is noted by the holder only', async () => {
  const instanceId = await insertPlacedInstance(database, 1);
  const operation = await holdOperation(database, instanceId);
  await records.progress(operation, { phase: 'dump', done: 5 });
  const heir = await takeOver(database, { id: operation.id, kind: 'backup' });
  await expect(records.progress(operation, { phase: 'dump', done: 4 })).rejects.toMatchObject({ code: 'fenced' });
  await records.progress(heir, { phase: 'dump', done: 6 });
  const { rows } = await database.query('select progress from operations');
  expect(rows).toEqual([{ progress: { phase: 'dump', done: 6 } }]);
});

describe('the points an instance can be restored to', () => {
  test('are told newest first by the moment they hold, and only those that are proven are proven', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const [old, middle, young] = [
      await insertBackup(database, instanceId, { daysAgo: 3 }),
      await insertBackup(database, instanceId, { daysAgo: 2 }),
      await insertBackup(database, instanceId, { daysAgo: 1 }),
    ];
    expect(await records.newestProven(instanceId)).toBeUndefined();
    await database.query(`update backups set proof = 'proven', proof_at = now() where id = any($1)`, [[old, middle]]);
    await database.query(`update backups set proof = 'refuted', proof_at = now() where id = $1`, [young]);
    expect((await records.newest(instanceId))?.id).toBe(young);
    expect((await records.newestProven(instanceId))?.id).toBe(middle);
    expect((await records.list({ instanceId })).map(({ id }) => id)).toEqual([young, middle, old]);
    await database.query(
      `update backups set state = 'deleted', deleted_at = now(), delete_reason = 'x' where id = any($1)`,
      [[middle, young]],
    );
    expect((await records.newest(instanceId))?.id).toBe(old);
    expect((await records.newestProven(instanceId))?.id).toBe(old);
    expect((await records.list({ instanceId })).map(({ id }) => id)).toEqual([old]);
    expect(await records.list({ instanceId, withDeleted: true })).toHaveLength(3);
  });

  test('of another instance are not found, and neither is what is no id', async () => {
    const [mine, others] = [await insertPlacedInstance(database, 1), await insertPlacedInstance(database, 2)];
    const backupId = await insertBackup(database, others);
    expect((await records.find({ instanceId: others, backupId })).id).toBe(backupId);
    for (const manipulated of [backupId, crypto.randomUUID(), '../x', '', `${backupId}'`, backupId.toUpperCase()]) {
      const answer = records.find({ instanceId: mine, backupId: manipulated });
      await expect(answer).rejects.toMatchObject({ code: 'not-found' });
    }
  });
});
