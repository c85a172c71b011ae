import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { giveUp } from '#shared/adapters/postgres/backup-deletion.ts';
import { endAbandoned, endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import {
  beginAfresh,
  endHeld,
  type HeldOperation,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  takeOver,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { giveUpExportsOf } from '#shared/adapters/postgres/export-deletion.ts';
import { downloads, exportRecords, refuseExport } from '#shared/adapters/postgres/export-records.ts';
import { uploadKeptMs } from '#shared/domain/backup/upload.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeExportRemoval } from './exports.ts';

const platform = platformOfThisFile();
let database: Database;
let folder: string;
let store: ObjectStore;
let instanceId: string;
let backupId: string;
let olderId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await beginAfresh(database);
  folder = await mkdtemp(join(tmpdir(), 'export-removal-'));
  store = openDirectoryStore(folder);
  instanceId = await insertPlacedInstance(database, 1);
  olderId = await insertBackup(database, instanceId, { daysAgo: 100 });
  backupId = await insertBackup(database, instanceId, { daysAgo: 1 });
});
afterEach(() => rm(folder, { recursive: true }));

const records = () => exportRecords(database);
const begin = (operation: HeldOperation, wanted: string | null = null) =>
  records().begin(operation, { instanceId, backupId: wanted, archiveKey: `key ${randomUUID()}` });
const keyOf = (id: string) => `exports/${instanceId}/${id}/1/archive`;
const finish = (operation: HeldOperation, validSeconds = 3_600) =>
  records().finish(operation, {
    round: 1,
    archive: { key: keyOf(operation.id), bytes: 5_000_000_000, sha256: 'ab'.repeat(32), files: 3 },
    validSeconds,
  });
async function tick(remover: Partial<ObjectStore> = {}) {
  await database.query('truncate leases');
  const troubles: string[] = [];
  const onTrouble = (what: string) => void troubles.push(what);
  const removal = { database, holder: 'test', reader: store, remover: { ...store, ...remover }, onTrouble };
  return { ...(await makeExportRemoval(removal)()), troubles };
}

/** One that can be downloaded for so long. */
async function ready(validSeconds = 3_600): Promise<string> {
  const operation = await holdOperation(database, instanceId, 'export');
  await begin(operation);
  await finish(operation, validSeconds);
  await endHeld(database, operation.id);
  await store.put(keyOf(operation.id), Buffer.from('zip'));
  await store.put(`exports/${instanceId}/${operation.id}/1/result`, Buffer.from('{}'));
  return operation.id;
}

async function purge(): Promise<void> {
  await database.query(
    `update instances set status = 'terminated', desired_state = 'terminated', purged_at = now() where id = $1`,
    [instanceId],
  );
}

describe('an export', () => {
  test('is of the newest backup, the same for every call', async () => {
    const operation = await holdOperation(database, instanceId, 'export');
    const begun = await begin(operation);
    expect(begun).toMatchObject({ export: { state: 'running', round: 1, backupId }, backup: { id: backupId } });
    expect(await begin(operation)).toEqual(begun);
  });

  test('keeps its backup from being deleted while it is made, and not longer', async () => {
    for (const daysAgo of [3, 2]) await insertBackup(database, instanceId, { daysAgo });
    const operation = await holdOperation(database, instanceId, 'export');
    await begin(operation, olderId);
    await database.query(`update backups set proof = 'proven', proof_at = now() where id = $1`, [backupId]);
    await database.query(`update plans set keep_daily = 0, keep_weekly = 0, keep_monthly = 0`);
    const givenUp = async () => (await giveUp(database, instanceId, { actor: 'test' })).map(({ id }) => id);
    expect(await givenUp()).toEqual([]);
    await finish(operation);
    expect(await givenUp()).toEqual([olderId]);
  });

  test('goes on under the next number when a Job was lost, and after it had failed', async () => {
    const operation = await holdOperation(database, instanceId, 'export');
    const first = await begin(operation);
    const second = await records().another(operation, { round: 1, archiveKey: 'second' });
    expect(second.export).toMatchObject({ round: 2, archiveKey: 'second' });
    expect(await records().another(operation, { round: 1, archiveKey: 'third' })).toEqual(second);
    await expect(finish(operation)).rejects.toMatchObject({ code: 'conflict' });
    await database.transaction((transaction) =>
      endUnfinished(transaction, operation.id, new Failure('job-failed', 'x')),
    );
    expect(await records().read(operation.id)).toMatchObject({ state: 'failed', archiveKey: null });
    expect((await begin(operation)).export).toMatchObject({ round: 3, state: 'running', backupId: first.backup.id });
  });

  test('is written by nobody whose lease was taken over, and ends with an operation that is over', async () => {
    const operation = await holdOperation(database, instanceId, 'export');
    await begin(operation);
    const newer = await takeOver(database, { id: operation.id, kind: 'export' });
    await expect(finish(operation)).rejects.toMatchObject({ code: 'fenced' });
    await endHeld(database, newer.id, 'failed');
    expect(await endAbandoned(database, { limit: 10 })).toBe(1);
    expect(await records().read(operation.id)).toMatchObject({ state: 'failed' });
  });

  test('is refused where there is no such backup of this instance, or none that is not refuted', async () => {
    const other = await insertPlacedInstance(database, 2);
    const foreign = await insertBackup(database, other);
    const refusal = (wanted: string | null) => refuseExport(database, { instanceId, backupId: wanted });
    expect(await refusal(foreign)).toMatchObject({ code: 'not-found' });
    expect(await refusal(backupId)).toBeUndefined();
    const operation = await holdOperation(database, instanceId, 'export');
    await expect(begin(operation, foreign)).rejects.toMatchObject({ code: 'not-found' });
    await database.query(`update backups set proof = 'refuted', proof_at = now() where instance_id = $1`, [instanceId]);
    expect(await refusal(null)).toMatchObject({ code: 'not-found' });
  });
});

describe('the tick', () => {
  test('leaves alone what can still be downloaded', async () => {
    const id = await ready();
    expect(await tick()).toEqual({ givenUp: 0, deleted: 0, uploads: 0, troubles: [] });
    expect(await downloads(database).find(id)).toMatchObject({ export: { id }, instanceName: expect.any(String) });
    await downloads(database).note(id);
    expect(await records().read(id)).toMatchObject({ downloads: 1 });
  });

  test('deletes an export whose time is over: first its key, then its objects', async () => {
    const id = await ready(0);
    expect(await downloads(database).find(id)).toBeUndefined();
    const refusing = await tick({ remove: () => Promise.reject(new Failure('not-allowed', 'It is locked.')) });
    expect(refusing).toMatchObject({ givenUp: 1, deleted: 0, troubles: [`deletion of export ${id}`] });
    expect(await records().read(id)).toMatchObject({ state: 'deleting', archiveKey: null });
    expect(await tick()).toMatchObject({ givenUp: 0, deleted: 1, troubles: [] });
    expect(await records().read(id)).toMatchObject({ state: 'deleted' });
    expect((await store.list({ prefix: 'exports/' })).keys).toEqual([]);
  });

  test('deletes those of a purged instance at once, and what failed ones have left after a day', async () => {
    const id = await ready();
    await purge();
    expect(await downloads(database).find(id)).toBeUndefined();
    expect(await tick()).toMatchObject({ givenUp: 1, deleted: 1 });
    await database.query('update instances set purged_at = null where id = $1', [instanceId]);
    const operation = await holdOperation(database, instanceId, 'export');
    await begin(operation);
    await database.transaction((transaction) =>
      endUnfinished(transaction, operation.id, new Failure('job-failed', 'x')),
    );
    await endHeld(database, operation.id, 'failed');
    expect(await tick()).toMatchObject({ givenUp: 0 });
    await database.query(`update exports set finished_at = now() - interval '2 days'`);
    expect(await tick()).toMatchObject({ givenUp: 1, deleted: 1 });
  });

  test('deletes what was uploaded for imports a week ago', async () => {
    for (const [name, ageMs] of [
      ['old', uploadKeptMs + 60_000],
      ['new', 60_000],
    ] as const) {
      await store.put(`imports/${instanceId}/${name}.zip`, Buffer.from('zip'));
      const at = new Date(Date.now() - ageMs);
      await utimes(join(folder, `imports/${instanceId}/${name}.zip`), at, at);
    }
    expect(await tick()).toMatchObject({ uploads: 1 });
    expect((await store.list({ prefix: 'imports/' })).keys).toEqual([`imports/${instanceId}/new.zip`]);
  });

  test('deletes what was uploaded for an instance that is purged now, and what cannot be deleted keeps no other', async () => {
    const other = await insertPlacedInstance(database, 2);
    const keys = [instanceId, other].flatMap((id) => [`imports/${id}/a.zip`, `imports/${id}/a.zip.about`]);
    for (const key of keys) await store.put(key, Buffer.from('zip'));
    await purge();
    const remove = (key: string) =>
      key === keys[0] ? Promise.reject(new Failure('not-allowed', 'It is locked.')) : store.remove(key);
    expect(await tick({ remove })).toMatchObject({ uploads: 1, troubles: [`upload ${keys[0]}`] });
    expect(await tick()).toMatchObject({ uploads: 1, troubles: [] });
    expect((await store.list({ prefix: 'imports/' })).keys).toEqual(keys.slice(2));
  });

  test('finds exports that a purge has given up: from its end on nobody can read them', async () => {
    const id = await ready();
    const operation = await holdOperation(database, instanceId, 'export');
    await begin(operation);
    await database.transaction((transaction) =>
      endUnfinished(transaction, operation.id, new Failure('job-failed', 'x')),
    );
    await database.transaction((transaction) => giveUpExportsOf(transaction, instanceId, { operationId: id }));
    for (const one of [id, operation.id]) {
      expect(await records().read(one)).toMatchObject({ state: 'deleting', archiveKey: null });
    }
    expect(await tick()).toMatchObject({ givenUp: 0, deleted: 2 });
    expect((await store.list({ prefix: 'exports/' })).keys).toEqual([]);
  });
});
