import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { clearBackups, endHeld, holdOperation, insertBackup, insertPlacedInstance } from './backup-records.fixture.ts';
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
const end = (collector: string, removed: number | undefined) =>
  endCollection(database, { instanceId, collector }, { removed, left: 1, actor: 'test' });
const intent = () => ({ instanceId, kind: 'manual', dumpKey: 'd', filesKey: 'f' }) as const;

test('the right to remove files is one collector’s, with the backups whose files have to stay', async () => {
  expect(await take('a')).toBeUndefined();
  const kept = await insertBackup(database, instanceId);
  const gone = await insertBackup(database, instanceId);
  await database.query(`update backups set state = 'deleting', delete_reason = 'x' where id = $1`, [gone]);
  expect((await take('a'))?.kept.map(({ id }) => id)).toEqual([kept]);
  expect(await take('b')).toBeUndefined();
  await end('b', 0);
  expect(await take('b')).toBeUndefined();
  await end('a', undefined);
  expect(await take('b')).toBeDefined();
});

test('it cannot be had while a backup runs, and keeps the next one waiting', async () => {
  await insertBackup(database, instanceId);
  const operation = await holdOperation(database, instanceId);
  await backupRecords(database).begin(operation, intent());
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
  const backup = await insertBackup(database, instanceId);
  const due = () => listToCollect(database, 10);
  expect(await due()).toEqual([]);
  const remove = () =>
    database.query(`update backups set state = 'deleted', delete_reason = 'x', deleted_at = now() where id = $1`, [
      backup,
    ]);
  await remove();
  expect(await due()).toEqual([instanceId]);
  await take('a');
  expect(await due()).toEqual([]);
  await end('a', 0);
  await remove();
  expect(await due()).toEqual([]);
  await database.query(`update instance_keys set collected_at = now() - interval '3 days'`);
  expect(await due()).toEqual([instanceId]);
});
