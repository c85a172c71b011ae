import { beforeAll, beforeEach, expect, test } from 'vitest';
import { noteRequest } from '#shared/adapters/postgres/backup-schedule.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type Moving, readMoving } from './moving.ts';
import { tellUnrest } from './unrest.ts';

const platform = platformOfThisFile();
const id = testInstanceId(7);
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
  await insertServer(database, { id: 'one', maxInstances: 5 });
});
beforeEach(async () => {
  await database.query(
    'truncate instances, operations, outbox, observations, findings, dead_events, billing_requests cascade',
  );
  await insertTestInstance(database, id);
  await database.query(`update instances set observed_generation = 1, status = 'running'`);
});

const finals = 'final backups to be asked for';
const left = async () => Object.entries(await readMoving(database)).filter(([, rows]) => rows.length > 0);
const countersLeft = async () => (await left()).map(([name]) => name);
const terminated = () =>
  database.query(
    `update instances set desired_state = 'terminated', status = 'terminated', desired_before = 'running',
       terminated_at = clock_timestamp() - interval '2 minutes', purge_after = now()`,
  );
const backupAsked = async (kind: string) => {
  const common = { instanceId: id, kind: 'backup', definitionVersion: 1, deadlineMs: 60_000 } as const;
  const operation = { ...common, id: newOperationId(), idempotencyKey: kind, requestedBy: 'x', cause: 'x' };
  await insertOperation(database, { ...operation, request: { kind } });
  await database.query(
    `update operations set state = 'failed', next_check_at = null, finished_at = clock_timestamp(), error_code = 'x', error_text = 'y'`,
  );
  return operation.id;
};
const requestNoted = async (age: string, next = 'in') => {
  const eventId = newOperationId();
  await noteRequest(database, { instanceId: id, task: 'backup', subject: 's', requests: 1, eventId, waitMs: 600_000 });
  await database.query(
    `update backup_requests set asked_at = asked_at - $1::interval, next_at = next_at - $1::interval - $2::interval`,
    [age, next === 'in' ? '0' : '10 minutes'],
  );
};

test('of an instance that runs nothing moves', async () => {
  expect(await left()).toEqual([]);
  expect(await tellUnrest(database, await readMoving(database))).toEqual([]);
});

test('an instance that was terminated waits for its final backup, until one was asked for', async () => {
  await terminated();
  expect(await left()).toEqual([
    [finals, [{ instance: id, what: expect.stringMatching(/^terminated 1[2-9]\d s ago$/) }]],
  ]);
  await backupAsked('manual');
  expect(await countersLeft()).toEqual([finals]);
  await backupAsked('final');
  expect(await countersLeft()).toEqual([]);
});

test('the final backup of an earlier termination is not the one that it waits for', async () => {
  await backupAsked('final');
  await database.query(`update operations set created_at = created_at - interval '1 hour'`);
  await terminated();
  expect(await countersLeft()).toEqual([finals]);
});

test.each([
  ['has just been sent: its backup is about to begin', '0', 'in', [finals]],
  ['was lost: it is repeated only later', '90 seconds', 'in', []],
  ['was lost, and may be repeated now', '90 seconds', 'over', [finals]],
  ['is of before the termination', '3 minutes', 'in', [finals]],
])('so it does when the request for it %s', async (_, age, next, expected) => {
  await terminated();
  await requestNoted(age, next);
  expect(await countersLeft()).toEqual(expected);
});

test('an instance that was never made, or is purged, waits for none', async () => {
  await terminated();
  await database.query('update instances set observed_generation = 0');
  expect(await countersLeft()).toEqual([]);
  await database.query('update instances set observed_generation = 1, purged_at = now()');
  expect(await countersLeft()).toEqual([]);
});

test.each([
  ['a suspension that no function has', 'suspend', null, ['requests of billing']],
  ['a suspension for which there was no room', 'suspend', 'refused: too-many-operations', ['requests of billing']],
  ['a suspension that was accepted', 'suspend', 'accepted', []],
  ['an undo, behind which others may wait, until it is looked at', 'undo', 'accepted', ['requests of billing']],
])('of billing moves: %s', async (_, kind, outcome, expected) => {
  const eventId = newOperationId();
  await database.query(
    `insert into billing_requests (instance_id, customer_id, kind, is_suspended, is_terminated, sequence, event_id, data, check_at)
     values ($1, 'c-1', $2, true, false, 1, $3, '{}', now())`,
    [id, kind, eventId],
  );
  if (outcome !== null)
    await database.query(
      `insert into inbox (source, id, type, data_hash, outcome) values ('x', $1, 't', sha256(''), $2)`,
      [eventId, outcome],
    );
  expect(await countersLeft()).toEqual(expected);
  await database.query('update billing_requests set check_at = null');
  expect(await countersLeft()).toEqual([]);
});

test('everything else that moves is counted with its instance, and expected findings are not', async () => {
  await database.query(`update instances set status = 'starting'`);
  await database.query(
    `insert into observations (instance_id, what, reason, at) values ($1, 'gone', 'evicted', now())`,
    [id],
  );
  await database.query(
    `insert into findings (kind, subject, shard, place, instance_id, detail)
     values ('orphan', 's', 'a', 'p', $1, 'd'), ('purge-due', 't', 'a', 'p', $1, 'd')`,
    [id],
  );
  await database.query(
    `insert into outbox (id, type, source, data) values (gen_random_uuid(), 't', 's', jsonb_build_object('instance', $1::text))`,
    [id],
  );
  await database.query(
    `insert into dead_events (received_by, reason_code, reason, body, digest, class, next_replay_at)
     values ('f', 'c', 'r', '', sha256(''), 'transient', now())`,
  );
  await database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by, cause, request)
     values (gen_random_uuid(), $1, 'stop', 1, 'queued', now(), 'k', 'x', 'x', '{}')`,
    [id],
  );
  const found = await left();
  expect(found.map(([name, rows]) => [name, ...rows.map(({ instance }) => instance)])).toEqual([
    ['unfinished operations', id],
    ['unpublished events', id],
    ['dead events', null],
    ['instances on their way', id],
    ['observations', id],
    ['findings', id],
  ]);
});

test('what keeps a fleet from its rest is told with all that the records hold of it', async () => {
  const operation = await backupAsked('manual');
  await terminated();
  await requestNoted('5 minutes');
  await database.query(
    `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, finished_at, error_code, error_text)
     values ($1, $2, 'c-1', 'manual', 'failed', 1, 'one', now(), 'superseded', 'A terminate came.')`,
    [operation, id],
  );
  const lines = await tellUnrest(database, await readMoving(database));
  expect(lines.slice(0, 2)).toEqual([`${finals}:`, expect.stringContaining(`${id}: terminated 1`)]);
  expect(lines.slice(2)).toEqual([
    expect.stringMatching(/^It is \d\d:\d\d:\d\d[.]\d{3}[.]$/),
    expect.stringMatching(
      `^instance ${id} .*: terminated, wanted terminated, generation 1, observed 1, terminated \\d\\d:`,
    ),
    expect.stringMatching(`^  operation backup manual ${operation}: failed, .*, x: y$`),
    expect.stringMatching(`^  backup manual ${operation}: failed, none, .*, superseded: A terminate came[.]$`),
    expect.stringMatching('^  request 1 of a backup, "s", by event .*never taken.*: asked .*, again '),
  ]);
});

test('of very much only the first is told, and how much there is', async () => {
  const rows = Array.from({ length: 25 }, (_, number) => ({ instance: testInstanceId(number), what: `w${number}` }));
  const moving: Moving = { one: rows, none: [] };
  const lines = await tellUnrest(database, moving);
  expect(lines.filter((line) => /: w\d/.test(line))).toHaveLength(10);
  expect(lines).toContain('  and 15 more one');
  expect(lines).toContain('and 15 more instances');
});
