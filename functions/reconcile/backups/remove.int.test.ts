import { createHash } from 'node:crypto';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import {
  beginAfresh,
  endHeld,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import { backupRecords } from '#shared/adapters/postgres/backup-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { verificationRecords } from '#shared/adapters/postgres/verification-records.ts';
import type { BackupResult } from '#shared/domain/backup/manifest.ts';
import { signManifest } from '#shared/domain/backup/manifest.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type BackupRemoval, longestBackupMs, makeBackupRemoval } from './remove.ts';

const platform = platformOfThisFile();
let database: Database;
let folder: string;
let store: ObjectStore;
let troubles: string[];
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await beginAfresh(database);
  folder = await mkdtemp(join(tmpdir(), 'backup-removal-'));
  store = openDirectoryStore(folder);
  troubles = [];
});
afterEach(() => rm(folder, { recursive: true }));

async function go(change: Partial<BackupRemoval> = {}) {
  await database.query('truncate leases');
  const onTrouble = (what: string, error: unknown) => void troubles.push(`${what}: ${(error as Error).message}`);
  const base = { database, holder: 'test', reader: store, remover: store, onTrouble };
  return await makeBackupRemoval({ ...base, ...change })();
}

const name = (content: string) => createHash('sha256').update(content).digest('hex');
const fileKey = (instanceId: string, content: string) =>
  `files/${instanceId}/${name(content).slice(0, 2)}/${name(content)}`;

/** A file as old as need be for it to be removed, unless stated. */
async function putFile(instanceId: string, content: string, ageMs = longestBackupMs + 60_000): Promise<void> {
  const key = fileKey(instanceId, content);
  await store.put(key, Buffer.from(content));
  const at = new Date(Date.now() - ageMs);
  await utimes(join(folder, key), at, at);
}

function manifestOf(instanceId: string, backupId: string, contents: readonly string[]): Buffer {
  const noContents = {
    tables: [],
    hashes: [],
    attachments: { count: 0, inFiles: 0, files: 0, hash: '' },
    largeObjects: { count: 0, hash: '' },
    schema: { indexes: 0, constraints: 0, sequences: 0, views: 0, functions: 0, triggers: 0 },
    extensions: [],
  };
  const time = '2026-11-22T00:00:00Z';
  const dump = {
    key: 'x',
    format: 'pg_dump-custom+zstd',
    storedBytes: 1,
    sha256: name(''),
    compressedBytes: 1,
    databaseBytes: 1,
  } as const;
  const objects = contents.map((content): [string, number, string] => [name(content), content.length, name(content)]);
  const files = {
    count: objects.length,
    bytes: 1,
    storedBytes: 1,
    uploaded: { count: 0, bytes: 0 },
    contents: name(''),
    objects,
  };
  const result: BackupResult = {
    version: 1,
    instanceId,
    customerId: 'c-1',
    backupId,
    operationId: backupId,
    attempt: 1,
    kind: 'manual',
    imageId: 'odoo-19',
    addonsDigest: '',
    previous: null,
    odooVersion: null,
    modules: [],
    postgres: { major: 15, server: '15', client: '15' },
    startedAt: time,
    snapshotAt: time,
    finishedAt: time,
    contents: noContents,
    dump,
    files,
  };
  return signManifest(result, { dump: 'd', files: 'f' }, hmacSigner('k', Buffer.alloc(32)));
}

/** A proven backup of some days ago with its objects, that names these files. */
async function storeBackup(instanceId: string, options: { daysAgo: number; names: readonly string[] }) {
  const id = await insertBackup(database, instanceId, { daysAgo: options.daysAgo });
  const key = `backups/${instanceId}/${id}/manifest`;
  const bytes = manifestOf(instanceId, id, options.names);
  await store.put(key, bytes);
  await store.put(`backups/${instanceId}/${id}/1/dump`, Buffer.from('dump'));
  await store.put(`verifications/${instanceId}/${id}/x/1/result`, Buffer.from('{}'));
  await database.query(
    `update backups set manifest_key = $2, manifest_sha256 = $3, proof = 'proven', proof_at = now() where id = $1`,
    [id, key, createHash('sha256').update(bytes).digest('hex')],
  );
  for (const content of options.names) await putFile(instanceId, content);
  return id;
}
const states = async () =>
  Object.fromEntries(
    (await database.query<{ id: string; state: string }>('select id, state from backups')).rows.map((row) => [
      row.id,
      row.state,
    ]),
  );
const keys = async (prefix: string) => (await store.list({ prefix })).keys;
const audited = async () =>
  (
    await database.query<{ line: string }>(
      `select action || ' ' || coalesce(detail ->> 'reason', detail ->> 'objects', detail ->> 'removed') as line from audit where actor = 'retention' and instance_id in (select id from instances) order by sequence`,
    )
  ).rows.map(({ line }) => line);

/** Six daily backups at one minute past midnight a month ago: under a plan that keeps little, one of them goes. */
async function backupsOfWhichOneGoes(instanceId: string) {
  await database.query('update plans set keep_daily = 5, keep_weekly = 0, keep_monthly = 0');
  const ids: string[] = [];
  for (let day = 0; day < 6; day += 1) {
    ids.push(await storeBackup(instanceId, { daysAgo: 30 - day, names: ['in all', `of day ${day}`] }));
  }
  return { ids, first: ids[0] ?? '' };
}

describe('what retention gives up', () => {
  test('goes with all its objects, in two steps, and with what only it named; an entry tells of each', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const { ids, first } = await backupsOfWhichOneGoes(instanceId);
    expect(await go()).toEqual({ abandoned: 0, givenUp: 1, deleted: 1, filesRemoved: 1 });
    expect(await states()).toEqual(Object.fromEntries(ids.map((id) => [id, id === first ? 'deleted' : 'succeeded'])));
    expect(await keys(`backups/${instanceId}/${first}/`)).toEqual([]);
    expect(await keys(`verifications/${instanceId}/${first}/`)).toEqual([]);
    expect(await keys(`backups/${instanceId}/`)).toHaveLength(10);
    const left = ['in all', 'of day 1', 'of day 2', 'of day 3', 'of day 4', 'of day 5'];
    expect(await keys(`files/${instanceId}/`)).toEqual(left.map((one) => fileKey(instanceId, one)).sort());
    expect(await audited()).toEqual(['backup.given-up retention', 'backup.deleted 3', 'backup-files.collected 1']);
    const { rows } = await database.query('select dump_key, delete_reason from backups where id = $1', [first]);
    expect(rows).toEqual([{ dump_key: null, delete_reason: 'retention' }]);
    expect(troubles).toEqual([]);
    expect(await go()).toEqual({ abandoned: 0, givenUp: 0, deleted: 0, filesRemoved: 0 });
  });

  test('is not what is being verified, until that has ended', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const { first } = await backupsOfWhichOneGoes(instanceId);
    const operation = await holdOperation(database, instanceId, 'verify');
    const records = verificationRecords(database);
    await records.begin(operation, { instanceId, backupId: first });
    expect((await go()).givenUp).toBe(0);
    await records.finish(operation, { round: 1, odooBooted: false, differences: [] });
    await endHeld(database, operation.id);
    expect((await go()).deleted).toBe(1);
  });

  test('stays given up while the store refuses, and goes when it does not', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const { first } = await backupsOfWhichOneGoes(instanceId);
    const remover = {
      ...store,
      remove: async (key: string) => {
        if (key.endsWith('/dump')) throw new Failure('not-allowed', 'The object is locked.');
        await store.remove(key);
      },
    };
    expect(await go({ remover })).toMatchObject({ givenUp: 1, deleted: 0, filesRemoved: 0 });
    expect((await states())[first]).toBe('deleting');
    expect(troubles).toEqual([`deletion of backup ${first}: The object is locked.`]);
    expect(await keys(`backups/${instanceId}/${first}/`)).toEqual([`backups/${instanceId}/${first}/1/dump`]);
    await expect(backupRecords(database).find({ instanceId, backupId: first })).resolves.toMatchObject({
      state: 'deleting',
    });
    expect(await go()).toMatchObject({ deleted: 1, filesRemoved: 1 });
  });

  test('of an instance that was purged is all but its final backup, and that one and the key 90 days later', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await storeBackup(instanceId, { daysAgo: 3, names: ['old'] });
    const final = await storeBackup(instanceId, { daysAgo: 2, names: ['last'] });
    await database.query(`update backups set kind = 'final' where id = $1`, [final]);
    await database.query(`update instances set purged_at = now()`);
    expect(await go()).toMatchObject({ givenUp: 1, deleted: 1, filesRemoved: 1 });
    expect(await keys(`files/${instanceId}/`)).toEqual([fileKey(instanceId, 'last')]);
    await database.query(`update instances set purged_at = now() - interval '90 days'`);
    expect(await go()).toMatchObject({ givenUp: 1, deleted: 1, filesRemoved: 1 });
    expect(await keys('files/')).toEqual([]);
    expect(await backupRecords(database).filesKey(instanceId)).toBeUndefined();
  });
});

describe('a file that no backup names', () => {
  test('stays while it is young: its manifest may be yet to come', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    await putFile(instanceId, 'young', longestBackupMs - 60_000);
    expect((await go()).filesRemoved).toBe(1);
    expect(await keys(`files/${instanceId}/`)).toContain(fileKey(instanceId, 'young'));
  });

  test('stays while a backup of the instance runs, whatever runs of another', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    const operation = await holdOperation(database, instanceId);
    const intent = { instanceId, kind: 'manual', dumpKey: 'd', filesKey: 'f' } as const;
    await backupRecords(database).begin(operation, intent);
    expect(await go()).toMatchObject({ deleted: 1, filesRemoved: 0 });
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toMatchObject({ abandoned: 1, filesRemoved: 1 });
  });

  test.each([
    ['gone', async (key: string) => await store.remove(key)],
    ['altered', async (key: string) => void (await store.put(key, Buffer.from('{}')))],
  ])('stays when the manifest of one that is kept is %s, and so do all others', async (_, harm) => {
    const instanceId = await insertPlacedInstance(database, 1);
    const { ids } = await backupsOfWhichOneGoes(instanceId);
    await harm(`backups/${instanceId}/${ids[3]}/manifest`);
    expect(await go()).toMatchObject({ deleted: 1, filesRemoved: 0 });
    expect(await keys(`files/${instanceId}/`)).toHaveLength(7);
    expect(troubles.join()).toMatch(/manifest of backup .* no file of instance/);
    const { rows } = await database.query('select collected_by, collected_at from instance_keys');
    expect(rows).toEqual([{ collected_by: null, collected_at: null }]);
  });

  test('stays when the right to remove files was lost to a backup that began meanwhile', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    let begun = false;
    const reader = {
      ...store,
      // The process stands still for longer than its right lasts; a backup begins, and counts on all files there are.
      get: async (key: string) => {
        if (!begun) {
          begun = true;
          await database.query(`update instance_keys set collecting_until = clock_timestamp() - interval '1 second'`);
          const operation = await holdOperation(database, instanceId);
          const intent = { instanceId, kind: 'manual', dumpKey: 'd', filesKey: 'f' } as const;
          await backupRecords(database).begin(operation, intent);
        }
        return await store.get(key);
      },
    };
    expect((await go({ reader })).filesRemoved).toBe(0);
    expect(begun).toBe(true);
    expect(await keys(`files/${instanceId}/`)).toHaveLength(7);
  });
});

test('backups that begin while files are removed name only files that are there', async () => {
  const instanceId = await insertPlacedInstance(database, 1);
  await backupsOfWhichOneGoes(instanceId);
  await putFile(instanceId, 'unnamed');
  const records = backupRecords(database);
  const operation = await holdOperation(database, instanceId);
  const intent = { instanceId, kind: 'manual', dumpKey: 'd', filesKey: 'f' } as const;
  // As a backup does: the intent first, then it skips what is there.
  const skips = async () => {
    for (;;) {
      try {
        await records.begin(operation, intent);
        return await keys(`files/${instanceId}/`);
      } catch (error) {
        if ((error as Failure).code !== 'no-capacity') throw error;
      }
    }
  };
  const removals = Array.from({ length: 3 }, () => go());
  const [skipped] = await Promise.all([skips(), ...removals]);
  const there = new Set(await keys(`files/${instanceId}/`));
  expect(skipped.filter((key) => !there.has(key))).toEqual([]);
});
