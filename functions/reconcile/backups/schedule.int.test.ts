import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backupRequested } from '#events/instance/backup.ts';
import { verifyRequested } from '#events/instance/verify.ts';
import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import {
  beginBackup,
  clearBackups,
  endHeld,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  setProof,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import { backupRecords } from '#shared/adapters/postgres/backup-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { verificationRecords } from '#shared/adapters/postgres/verification-records.ts';
import { Failure } from '#shared/domain/failure.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeBackupSchedule } from './schedule.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 500 });
  await insertServer(database, { id: 'verify', maxInstances: 1 });
  await database.query(`update db_servers set purpose = 'verification' where id = 'verify'`);
  await database.query('update db_servers set backup_slots = 50');
});

/** One go, as if a minute had passed since the last. Returns what it asked for. */
async function go(run = makeBackupSchedule({ database, eventSource: 'urn:fleet', holder: 'test' })) {
  await database.query('truncate outbox');
  await database.query('delete from leases');
  await run();
  const { rows } = await database.query<{ id: string; type: string; data: Record<string, string> }>(
    'select id, type, data from outbox order by sequence',
  );
  return rows.map(({ id, type, data }) => ({
    id,
    task: type === backupRequested.type ? 'backup' : type === verifyRequested.type ? 'verify' : type,
    instance: data['instance'],
    kind: data['kind'],
    backup: data['backup'],
  }));
}
const age = (id: string, days: number) =>
  database.query(`update instances set created_at = now() - $2::integer * interval '1 day' where id = $1`, [id, days]);
const oldInstance = async (number: number, server = 'one') => {
  const id = await insertPlacedInstance(database, number, server);
  await age(id, 30);
  return id;
};
const terminate = (id: string, ago = '0') =>
  database.query(
    `update instances set desired_state = 'terminated', status = 'terminated', desired_before = 'running',
       terminated_at = clock_timestamp() - $2::interval, purge_after = now() + interval '1 day' where id = $1`,
    [id, ago],
  );
/** The pauses between requests are over. */
const waitedLong = () => database.query(`update backup_requests set next_at = now() - interval '1 second'`);

describe('backups', () => {
  test('are asked for once where none was made in the turn, by an event that any process would write', async () => {
    const due = await oldInstance(1);
    const done = await oldInstance(2);
    await insertBackup(database, done);
    await insertPlacedInstance(database, 3); // made just now
    await database.query(`update backups set proof = 'proven', proof_at = now()`);
    const asked = await go();
    expect(asked).toEqual([{ id: expect.any(String), task: 'backup', instance: due, kind: 'scheduled' }]);
    expect(await go()).toEqual([]);
    await database.query('truncate backup_requests');
    expect(await go()).toEqual(asked);
  });

  test('are asked for again, by another event, when no function took them', async () => {
    await oldInstance(1);
    const [first] = await go();
    await waitedLong();
    const [second] = await go();
    expect(second?.id).not.toBe(first?.id);
    const { rows } = await database.query(
      `select requests, round(extract(epoch from next_at - asked_at)) as seconds from backup_requests`,
    );
    expect(rows).toMatchObject([{ requests: 2 }]);
    expect(Number((rows[0] as { seconds: string }).seconds)).toBe(1_200);
  });

  test('are not asked for beside what is at work, and after a failure only when the pause is over', async () => {
    const id = await oldInstance(1);
    const operation = await beginBackup(database, id, 'scheduled');
    expect(await go()).toEqual([]);
    await endUnfinished(database, operation.id, new Failure('job-failed', 'no'));
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toEqual([]);
    await database.query(`update backups set finished_at = now() - interval '15 minutes'`);
    expect(await go()).toHaveLength(1);
  });

  test.each([
    ['never made', 'observed_generation = 0'],
    ['purged', 'purged_at = now()'],
    ['on no server', 'db_server_id = null'],
    ['of a plan without', `plan_id = 'bare'`],
    [
      'being terminated',
      `desired_state = 'terminated', status = 'terminating', terminated_at = now(), purge_after = now(), desired_before = 'running'`,
    ],
  ])('are not asked of an instance that is %s', async (_, change) => {
    await database.query(
      `insert into plans (id, cpu_millis, memory_mib, disk_gib, backup_hours) values ('bare', 1, 1, 1, 0) on conflict do nothing`,
    );
    await oldInstance(1);
    await database.query(`update instances set ${change}`);
    expect(await go()).toEqual([]);
  });

  test('of stopped and suspended instances are asked for as well', async () => {
    await oldInstance(1);
    await database.query(`update instances set desired_state = 'stopped', status = 'suspended'`);
    expect(await go()).toHaveLength(1);
  });

  test('of a terminated instance are final ones, verified at once, and then no more', async () => {
    const id = await oldInstance(1);
    await insertBackup(database, id, { daysAgo: 2 });
    await terminate(id, '1 hour');
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'final' }]);
    const final = await insertBackup(database, id, { kind: 'final' });
    expect(await go()).toMatchObject([{ task: 'verify', backup: final }]);
    await database.query(`update backups set proof = 'refuted', proof_at = now() where id = $1`, [final]);
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'final' }]);
    const second = await insertBackup(database, id, { kind: 'final' });
    await setProof(database, second);
    expect(await go()).toEqual([]);
  });

  test.each([
    ['failed before the termination', new Failure('job-failed', 'no')],
    ['were cancelled before the termination', new Failure('cancelled', 'no')],
    ['the termination has overtaken', new Failure('superseded', 'no')],
  ])('that %s do not hold off the final one', async (_, why) => {
    const id = await oldInstance(1);
    const operation = await beginBackup(database, id);
    if (why.code === 'superseded') await terminate(id);
    await endUnfinished(database, operation.id, why);
    await endHeld(database, operation.id, 'failed');
    if (why.code !== 'superseded') await terminate(id);
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'final' }]);
  });

  test('that a step of began after the termination, and were then overtaken, do not hold it off either', async () => {
    const id = await oldInstance(1);
    await terminate(id);
    const operation = await beginBackup(database, id);
    await endUnfinished(database, operation.id, new Failure('superseded', 'no'));
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'final' }]);
  });

  test('that are final ones and failed are tried again when the pause is over', async () => {
    const id = await oldInstance(1);
    await terminate(id);
    const operation = await beginBackup(database, id, 'final');
    await endUnfinished(database, operation.id, new Failure('job-failed', 'no'));
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toEqual([]);
    await database.query(
      `update backups set finished_at = now() - interval '15 minutes', started_at = now() - interval '20 minutes'`,
    );
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'final' }]);
  });

  test('that something else has overtaken have not failed', async () => {
    const id = await oldInstance(1);
    const operation = await beginBackup(database, id, 'scheduled');
    await endUnfinished(database, operation.id, new Failure('superseded', 'no'));
    await endHeld(database, operation.id, 'failed');
    expect(await go()).toMatchObject([{ task: 'backup', kind: 'scheduled' }]);
  });
});

describe('fairness and bounds', () => {
  test('a server gets no more than twice its slots, less what is under way, and others get theirs', async () => {
    await insertServer(database, { id: 'two', maxInstances: 500 });
    await database.query(`update db_servers set backup_slots = 1 where id = 'one'`);
    for (let number = 0; number < 6; number += 1) await oldInstance(number);
    const others = [await oldInstance(10, 'two'), await oldInstance(11, 'two')];
    await holdOperation(database, (await oldInstance(20)) as string);
    const asked = await go();
    const instances = asked.map(({ instance }) => instance ?? '');
    expect(asked).toHaveLength(3);
    expect(instances).toEqual(expect.arrayContaining(others));
    expect(instances.slice(0, 2)).not.toEqual(others);
  });

  test('a fleet that is too large for one go is continued by the next tick', async () => {
    for (let number = 0; number < 501; number += 1) await insertPlacedInstance(database, number);
    await database.query(`update instances set created_at = now() - interval '30 days' where id > $1`, [
      (await database.query<{ id: string }>('select id from instances order by id offset 499 limit 1')).rows[0]?.id,
    ]);
    const run = makeBackupSchedule({ database, eventSource: 'urn:fleet', holder: 'test', budgetMs: 0 });
    await database.query('delete from leases');
    expect(await run()).toEqual({ asked: 0 });
    // no minute has passed
    expect(await run()).toEqual({ asked: 1 });
    expect(await run()).toEqual({ asked: 0 });
  });

  test('two processes do not both go', async () => {
    await oldInstance(1);
    await database.query('delete from leases');
    const runs = [1, 2, 3].map((holder) =>
      makeBackupSchedule({ database, eventSource: 'urn:fleet', holder: `test ${holder}` })(),
    );
    expect((await Promise.all(runs)).map(({ asked }) => asked).toSorted((one, other) => one - other)).toEqual([
      0, 0, 1,
    ]);
  });
});

describe('verifications', () => {
  const proven = async (id: string, daysAgo: number) => {
    const operation = await holdOperation(database, id, 'verify');
    const records = verificationRecords(database);
    await records.begin(operation, { instanceId: id, backupId: null });
    await records.finish(operation, { round: 1, odooBooted: false, differences: [] });
    await endHeld(database, operation.id);
    await database.query(
      `update backups set proof_at = now() - $2::integer * interval '1 day' where instance_id = $1 and proof <> 'none'`,
      [id, daysAgo],
    );
  };

  test('are asked for where nothing was proven yet, and then once a week of the newest', async () => {
    const id = await oldInstance(1);
    const first = await insertBackup(database, id);
    expect(await go()).toMatchObject([{ task: 'verify', instance: id, backup: first }]);
    await proven(id, 0);
    await insertBackup(database, id);
    expect(await go()).toEqual([]);
    await database.query(`update backups set proof_at = now() - interval '7 days' where id = $1`, [first]);
    const newest = (await backupRecords(database).newest(id))?.id;
    expect(newest).not.toBe(first);
    expect(await go()).toMatchObject([{ task: 'verify', backup: newest }]);
  });

  const tried = async (id: string, why: Failure) => {
    const operation = await holdOperation(database, id, 'verify');
    await verificationRecords(database).begin(operation, { instanceId: id, backupId: null });
    await endUnfinished(database, operation.id, why);
    await endHeld(database, operation.id, 'failed');
  };

  test('that failed are tried again when the pause is over, and that were overtaken, at once', async () => {
    const id = await oldInstance(1);
    await insertBackup(database, id);
    await tried(id, new Failure('superseded', 'no'));
    expect(await go()).toMatchObject([{ task: 'verify' }]);
    await waitedLong();
    await tried(id, new Failure('job-failed', 'no'));
    expect(await go()).toEqual([]);
    await database.query(`update verifications set finished_at = now() - interval '15 minutes'`);
    expect(await go()).toMatchObject([{ task: 'verify' }]);
  });

  test('that failed before the termination do not hold off that of the final backup', async () => {
    const id = await oldInstance(1);
    await insertBackup(database, id);
    await tried(id, new Failure('job-failed', 'no'));
    await terminate(id);
    const final = await insertBackup(database, id, { kind: 'final' });
    expect(await go()).toMatchObject([{ task: 'verify', backup: final }]);
    await waitedLong();
    await tried(id, new Failure('job-failed', 'no'));
    expect(await go()).toEqual([]);
  });

  test('are asked for no faster than servers for them have room', async () => {
    for (let number = 0; number < 5; number += 1) await insertBackup(database, await oldInstance(number));
    await database.query(`update db_servers set backup_slots = 1 where id = 'verify'`);
    expect(await go()).toHaveLength(2);
    await database.query('truncate backup_requests');
    await database.query(`update db_servers set status = 'maintenance' where id = 'verify'`);
    expect(await go()).toEqual([]);
  });
});
