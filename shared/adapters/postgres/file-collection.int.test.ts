import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { markDeleted } from './backup-deletion.ts';
import {
  beginBackup,
  clearBackups,
  endHeld,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  setDeleting,
} from './backup-records.fixture.ts';
import { backupRecords } from './backup-records.ts';
import type { Database } from './database.ts';
import { beginCollection, endCollection, listToCollect, renewCollection } from './file-collection.ts';

const platform = platformOfThisFile();
let database: Database;
let instanceId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 50 });
  instanceId = await insertPlacedInstance(database, 1);
});
const take = (collector: string, leaseMs = 60_000) => beginCollection(database, { instanceId, collector, leaseMs });
const end = (collector: string, removed: number | undefined, begunAt = new Date()) =>
  endCollection(database, { instanceId, collector, begunAt }, { removed, left: 1, actor: 'test' });
const intent = () => ({ instanceId, kind: 'manual', dumpKey: 'd', filesKey: 'f' }) as const;

test('the right to remove files is one collector’s, with the backups whose files have to stay', async () => {
  expect(await take('a')).toBeUndefined();
  const kept = await insertBackup(database, instanceId);
  const gone = await insertBackup(database, instanceId);
  await setDeleting(database, gone);
  expect((await take('a'))?.kept.map(({ id }) => id)).toEqual([kept]);
  expect(await take('b')).toBeUndefined();
  await end('b', 0);
  expect(await take('b')).toBeUndefined();
  await end('a', undefined);
  expect(await take('b')).toBeDefined();
});

test('it cannot be had while a backup runs, and keeps the next one waiting', async () => {
  await insertBackup(database, instanceId);
  const operation = await beginBackup(database, instanceId);
  expect(await take('a')).toBeUndefined();
  await database.query(
    `update backups set state = 'failed', error_code = 'x', error_text = 'x', finished_at = now() where state = 'running'`,
  );
  expect(await take('a')).toBeDefined();
  await expect(backupRecords(database).begin(operation, intent())).rejects.toMatchObject({ code: 'no-capacity' });
});

test('of a backup and a collector that begin at once, one waits', async () => {
  await insertBackup(database, instanceId);
  for (let round = 0; round < 15; round += 1) {
    const operation = await holdOperation(database, instanceId);
    const [collection, backup] = await Promise.allSettled([
      take(`c ${round}`),
      backupRecords(database).begin(operation, intent()),
    ]);
    const isCollecting = collection.status === 'fulfilled' && collection.value !== undefined;
    expect([isCollecting, backup.status === 'fulfilled'].filter(Boolean)).toHaveLength(1);
    await end(`c ${round}`, undefined);
    await endHeld(database, operation.id);
    await database.query(`delete from backups where state = 'running'`);
  }
});

test('it lasts as long as it is renewed in time', async () => {
  await insertBackup(database, instanceId);
  await take('a');
  expect(await renewCollection(database, { instanceId, collector: 'a', leaseMs: 1_000 })).toBe(true);
  expect(await renewCollection(database, { instanceId, collector: 'b', leaseMs: 1_000 })).toBe(false);
  await database.query(`update instance_keys set collecting_until = clock_timestamp() - interval '1 ms'`);
  expect(await renewCollection(database, { instanceId, collector: 'a', leaseMs: 1_000 })).toBe(false);
});

test('files are gone through after a deletion, and not again within three days', async () => {
  const due = () => listToCollect(database, 10);
  const remove = async () => {
    const backup = { id: await insertBackup(database, instanceId), instanceId };
    await setDeleting(database, backup.id);
    await markDeleted(database, backup, { actor: 'test', objects: 1 });
  };
  await insertBackup(database, instanceId);
  expect(await due()).toEqual([]);
  await remove();
  expect(await due()).toEqual([instanceId]);
  const begun = await take('a');
  expect(await due()).toEqual([]);
  await end('a', 0, begun?.begunAt);
  expect(await due()).toEqual([]);
  await remove();
  expect(await due()).toEqual([]);
  await database.query(`update instance_keys set collected_at = now() - interval '3 days'`);
  await remove();
  expect(await due()).toEqual([instanceId]);
});

test('what was not gone through to its end waits a little, and what was deleted meanwhile three days', async () => {
  const when = async () => {
    const text = 'select extract(epoch from collect_at - clock_timestamp())::float8 as seconds from instance_keys';
    return (await database.query<{ seconds: number | null }>(text)).rows[0]?.seconds ?? null;
  };
  await insertBackup(database, instanceId);
  await database.query('update instance_keys set collect_at = clock_timestamp()');
  const begun = await take('a');
  await end('a', undefined, begun?.begunAt);
  expect(await when()).toBeCloseTo(600, -1);
  await take('b');
  await end('b', 0, new Date(0));
  expect(await when()).toBeCloseTo(3 * 86_400, -1);
  await take('c');
  await end('c', 0, new Date(Date.now() + 4 * 86_400_000));
  expect(await when()).toBeNull();
});
