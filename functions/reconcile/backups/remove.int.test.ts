import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { retainAtNextTurn, takeToRetain } from '#shared/adapters/postgres/backup-deletion.ts';
import {
  beginAfresh,
  beginBackup,
  endHeld,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  setDeleting,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import { backupRecords } from '#shared/adapters/postgres/backup-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { verificationRecords } from '#shared/adapters/postgres/verification-records.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type BackupRemoval, longestBackupMs, makeBackupRemoval } from './remove.ts';
import { fileKey, type StoredBackups, storedBackups } from './stored-backups.fixture.ts';

const platform = platformOfThisFile();
let database: Database;
let place: StoredBackups;
let troubles: string[];
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await beginAfresh(database);
  place = await storedBackups(database);
  troubles = [];
});
afterEach(() => place.end());

/** As if everybody's turn had come. */
async function go(change: Partial<BackupRemoval> = {}) {
  await database.query('update instance_keys set retain_at = now()');
  await database.query('update instance_keys set collect_at = now() where collect_at is not null');
  const onTrouble = (what: string, error: unknown) => void troubles.push(`${what}: ${(error as Error).message}`);
  const base = { database, reader: place.store, remover: place.store, onTrouble };
  return await makeBackupRemoval({ ...base, ...change })();
}

const states = async () =>
  Object.fromEntries(
    (await database.query<{ id: string; state: string }>('select id, state from backups')).rows.map((row) => [
      row.id,
      row.state,
    ]),
  );
const keys = async (prefix: string) => (await place.store.list({ prefix })).keys;
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
    ids.push(await place.storeBackup(instanceId, { daysAgo: 30 - day, names: ['in all', `of day ${day}`] }));
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

  test('is decided once a day of each instance, and sooner of one whose decision nobody came to', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    expect(await takeToRetain(database, 10)).toEqual([instanceId]);
    expect(await takeToRetain(database, 10)).toEqual([]);
    const hours = async () => {
      const text =
        'select extract(epoch from retain_at - clock_timestamp())::float8 / 3600 as hours from instance_keys';
      return (await database.query<{ hours: number }>(text)).rows[0]?.hours;
    };
    expect(await hours()).toBeCloseTo(1 / 6, 1);
    expect((await go()).givenUp).toBe(1);
    expect(await hours()).toBeCloseTo(24, 1);
    // as a purge does: its certificate says that what is not kept goes at the next turn
    await database.transaction((transaction) => retainAtNextTurn(transaction, instanceId));
    expect(await takeToRetain(database, 10)).toEqual([instanceId]);
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
      ...place.store,
      remove: async (key: string) => {
        if (key.endsWith('/dump')) throw new Failure('not-allowed', 'The object is locked.');
        await place.store.remove(key);
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

  test('keeps no other waiting when it cannot be removed', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    const ids: string[] = [];
    for (let number = 0; number < 51; number += 1) ids.push(await insertBackup(database, instanceId));
    for (const id of ids) await setDeleting(database, id);
    const last = ids.toSorted().at(-1);
    const list = async (page: Parameters<ObjectStore['list']>[0]) => {
      if (!page.prefix.includes(`${last}`)) throw new Failure('not-allowed', 'The object is locked.');
      return await place.store.list(page);
    };
    const onTrouble = () => undefined;
    const turn = makeBackupRemoval({ database, reader: place.store, remover: { ...place.store, list }, onTrouble });
    expect((await turn()).deleted).toBe(0);
    expect((await turn()).deleted).toBe(1);
    expect((await states())[`${last}`]).toBe('deleted');
  });

  test('of an instance that was purged is all but its final backup, and that one and the key 90 days later', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await place.storeBackup(instanceId, { daysAgo: 3, names: ['old'] });
    const final = await place.storeBackup(instanceId, { daysAgo: 2, names: ['last'] });
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
    await place.putFile(instanceId, 'young', longestBackupMs - 60_000);
    expect((await go()).filesRemoved).toBe(1);
    expect(await keys(`files/${instanceId}/`)).toContain(fileKey(instanceId, 'young'));
  });

  test('stays while a backup of the instance runs, whatever runs of another', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    const operation = await beginBackup(database, instanceId);
    expect(await go()).toMatchObject({ deleted: 1, filesRemoved: 0 });
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toMatchObject({ abandoned: 1, filesRemoved: 1 });
  });

  test.each([
    ['gone', async (key: string) => await place.store.remove(key)],
    ['altered', async (key: string) => void (await place.store.put(key, Buffer.from('{}')))],
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

  test('is found among very many, a part of them in each tick', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    for (let number = 0; number < 5; number += 1) await place.putFile(instanceId, `unnamed ${number}`);
    // Two keys in each answer, and no tick has the time for more than three.
    const list: ObjectStore['list'] = async (page) => {
      await delay(page.prefix.startsWith('files/') ? 40 : 0);
      return await place.store.list({ ...page, limit: 2 });
    };
    const onTrouble = (what: string) => void troubles.push(what);
    const remover = { ...place.store, list };
    const turn = makeBackupRemoval({ database, reader: place.store, remover, onTrouble, sweepMs: 100 });
    const removed: number[] = [];
    while (removed.length < 20 && (await keys(`files/${instanceId}/`)).length > 6) {
      await database.query('update instance_keys set collect_at = now() where collect_at is not null');
      removed.push((await turn()).filesRemoved);
    }
    expect(await keys(`files/${instanceId}/`)).toHaveLength(6);
    expect(removed.length).toBeGreaterThan(1);
    expect(troubles).toEqual([]);
  });

  test('is found by a tick whose time is over before the store has said what there is', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    const list: ObjectStore['list'] = async (page) => {
      await delay(page.prefix.startsWith('files/') ? 20 : 0);
      return await place.store.list(page);
    };
    const onTrouble = (what: string) => void troubles.push(what);
    const remover = { ...place.store, list };
    const turn = makeBackupRemoval({ database, reader: place.store, remover, onTrouble, sweepMs: 10 });
    for (let tick = 0; tick < 12; tick += 1) {
      await turn();
      await database.query('update instance_keys set collect_at = now() where collect_at is not null');
    }
    expect(await keys(`files/${instanceId}/`)).toHaveLength(6);
    expect(troubles).toEqual([]);
  });

  test('stays when the right to remove files was lost to a backup that began meanwhile', async () => {
    const instanceId = await insertPlacedInstance(database, 1);
    await backupsOfWhichOneGoes(instanceId);
    let begun = false;
    const reader = {
      ...place.store,
      // The process stands still for longer than its right lasts; a backup begins, and counts on all files there are.
      get: async (key: string) => {
        if (!begun) {
          begun = true;
          await database.query(`update instance_keys set collecting_until = clock_timestamp() - interval '1 second'`);
          await beginBackup(database, instanceId);
        }
        return await place.store.get(key);
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
  await place.putFile(instanceId, 'unnamed');
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
