import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Operation, OperationKind, OperationState } from '#shared/domain/operation/operation.ts';
import type { Lease, OperationRecords, Taken } from '#shared/domain/operation/ports.ts';
import type { Database, Queryable } from './database.ts';

type OperationRow = {
  id: string;
  instance_id: string;
  kind: string;
  definition_version: number;
  state: string;
  step: string | null;
  attempt: number;
  round: number;
  fence: number;
  generation: number;
  waiting_for: string | null;
  deadline: Date;
  deadline_passed: boolean;
  age_ms: number;
  cancel_requested: boolean;
  overtaken_by: string | null;
  requested_by: string;
  cause: string;
  request: unknown;
};

const columns = `id, instance_id, kind, definition_version, state, step, attempt, round, fence, generation, waiting_for, deadline,
  deadline < clock_timestamp() as deadline_passed,
  extract(epoch from clock_timestamp() - started_at)::float8 * 1000 as age_ms, cancel_requested, overtaken_by,
  requested_by, cause, request`;

function operationOf(row: OperationRow): Operation {
  return {
    id: row.id,
    instanceId: row.instance_id,
    kind: row.kind as OperationKind,
    definitionVersion: row.definition_version,
    state: row.state as OperationState,
    step: row.step,
    attempt: row.attempt,
    round: row.round,
    fence: row.fence,
    generation: row.generation,
    waitingFor: row.waiting_for,
    deadline: row.deadline,
    deadlinePassed: row.deadline_passed,
    ageMs: row.age_ms,
    cancelRequested: row.cancel_requested,
    overtakenBy: row.overtaken_by,
    requestedBy: row.requested_by,
    cause: row.cause,
    request: row.request,
  };
}

/** The refusal every write under an old lease ends with. */
export function fencedOut(operationId: string): Failure {
  return new Failure('fenced', `Operation ${operationId} was taken over by another process; this one stops.`);
}

// One statement decides: state, lease, version, and that nothing older of the instance is unfinished. A queued
// operation whose instance has an active one runs into the unique index, which is the same answer. The fence grows over
// all operations of an instance: that is what the other stores compare it by.
const takeText = `
  update operations as mine set
    state = 'running', lease_holder = $2,
    fence = 1 + greatest(fence, (select max(other.fence) from operations as other where other.instance_id = mine.instance_id),
      (select i.fence_floor from instances as i where i.id = mine.instance_id)),
    lease_until = clock_timestamp() + $3::integer * interval '1 millisecond',
    next_check_at = clock_timestamp() + $3::integer * interval '1 millisecond',
    generation = coalesce(generation, (select i.generation from instances as i where i.id = mine.instance_id)),
    -- what it waited behind others does not count
    deadline = case when started_at is null then clock_timestamp() + (deadline - created_at) else deadline end,
    started_at = coalesce(started_at, clock_timestamp()), woken = false, told_at = null, not_before = null
  where id = $1 and kind = $4 and definition_version = any($5::integer[])
    and state in ('queued', 'running', 'waiting')
    and (lease_until is null or lease_until < clock_timestamp())
    and (not_before is null or not_before <= clock_timestamp() or cancel_requested)
    and (state <> 'queued' or not exists (
      select 1 from operations as older
      where older.instance_id = mine.instance_id and older.id <> mine.id
        and older.state in ('queued', 'running', 'waiting')
        and (older.created_at, older.id) < (mine.created_at, mine.id)))
  returning ${columns}`;

const wakeText = `
  update operations set woken = true
  where id = $1 and lease_until >= clock_timestamp() and state = 'running'
  returning id`;

async function whyNotTaken(
  database: Queryable,
  operationId: string,
  { kind, knownVersions }: { kind: string; knownVersions: readonly number[] },
): Promise<Taken | 'given-back-meanwhile'> {
  const woken = await database.query(wakeText, [operationId]);
  if (woken.rowCount > 0) return { taken: false, because: 'held' };
  const { rows } = await database.query<{
    state: string;
    kind: string;
    definition_version: number;
    is_held_off: boolean;
  }>(
    `select state, kind, definition_version, coalesce(not_before > clock_timestamp(), false) as is_held_off
     from operations where id = $1`,
    [operationId],
  );
  const row = rows[0];
  if (row === undefined || row.kind !== kind) return { taken: false, because: 'unknown' };
  if (!knownVersions.includes(row.definition_version)) return { taken: false, because: 'other-version' };
  if (row.state === 'queued') return { taken: false, because: 'queued' };
  if (row.is_held_off) return { taken: false, because: 'backing-off' };
  // The holder gave it back before it could be woken: it has not seen what the caller comes to tell.
  if (row.state === 'running' || row.state === 'waiting') return 'given-back-meanwhile';
  return { taken: false, because: 'finished' };
}

async function take(
  database: Database,
  operationId: string,
  options: Parameters<OperationRecords['take']>[1],
): Promise<Taken> {
  const { holder, leaseMs, kind, knownVersions } = options;
  for (let round = 0; round < 3; round += 1) {
    const values = [operationId, holder, leaseMs, kind, knownVersions];
    const { rows } = await database.query<OperationRow>(takeText, values).catch(noneIfOneIsActive);
    if (rows[0] !== undefined) return { taken: true, operation: operationOf(rows[0]) };
    const reason = await whyNotTaken(database, operationId, options);
    if (reason !== 'given-back-meanwhile') return reason;
  }
  // Taken and given back three times since: whoever does that looks often enough.
  return { taken: false, because: 'held' };
}

/** Another operation of this instance is at work: the unique index says so, when the two were taken at the same time. */
function noneIfOneIsActive(error: unknown): { rows: OperationRow[] } {
  if (error instanceof Failure && error.facts['constraint'] === 'operations_one_active') return { rows: [] };
  throw error;
}

const beginStepText = `
  with mine as (
    update operations set
      step = $3, attempt = $4, woken = false,
      waiting_for = case when step = $3 then waiting_for end,
      lease_until = clock_timestamp() + $5::integer * interval '1 millisecond',
      next_check_at = clock_timestamp() + $5::integer * interval '1 millisecond'
    where id = $1 and fence = $2 and state = 'running'
    returning id, cancel_requested, overtaken_by is not null as overtaken,
      deadline < clock_timestamp() as deadline_passed
  ), closed as (
    update operation_steps set finished_at = clock_timestamp(), outcome = 'done'
    where operation_id = $1 and step = $6 and fence = $2 and finished_at is null and exists (select 1 from mine)
  ), abandoned as (
    update operation_steps set finished_at = clock_timestamp(), outcome = 'failed',
      error_code = 'fenced', error_text = 'The process that worked on it ended, or was too slow, and was taken over.'
    where operation_id = $1 and fence < $2 and finished_at is null and exists (select 1 from mine)
  ), begun as (
    insert into operation_steps (operation_id, step, attempt, fence)
    select id, $3, $4, $2 from mine
    on conflict (operation_id, step, fence, attempt) do update set finished_at = null, outcome = null
  )
  select cancel_requested, overtaken, deadline_passed from mine`;

const waitText = `
  with mine as (
    update operations set
      state = 'waiting', lease_holder = null, lease_until = null, waiting_for = $3, attempt = 1,
      next_check_at = clock_timestamp() + $4::integer * interval '1 millisecond'
    where id = $1 and fence = $2 and state = 'running' and not woken
    returning id
  ), closed as (
    update operation_steps set finished_at = clock_timestamp(), outcome = 'waiting'
    where operation_id = $1 and step = $5 and fence = $2 and finished_at is null and exists (select 1 from mine)
  )
  select id from mine`;

const giveBackText = `
  with mine as (
    update operations set
      state = 'waiting', lease_holder = null, lease_until = null, waiting_for = 'its next turn',
      next_check_at = clock_timestamp()
    where id = $1 and fence = $2 and state = 'running'
    returning id
  ), closed as (
    update operation_steps set finished_at = clock_timestamp(), outcome = $4
    where operation_id = $1 and step = $3 and fence = $2 and finished_at is null and exists (select 1 from mine)
  )
  select id from mine`;

// A cancel that came during this try does not wait for the next one.
const tryLaterText = `
  with mine as (
    update operations set
      state = 'waiting', lease_holder = null, lease_until = null, attempt = $3, waiting_for = 'another try: ' || $4,
      not_before = clock_timestamp() + $6::integer * interval '1 millisecond',
      next_check_at =
        clock_timestamp() + case when cancel_requested and woken then 0 else $6::integer end * interval '1 millisecond'
    where id = $1 and fence = $2 and state = 'running'
    returning id
  ), closed as (
    update operation_steps set
      finished_at = clock_timestamp(), outcome = 'failed', error_code = $4, error_text = $7
    where operation_id = $1 and step = $5 and fence = $2 and finished_at is null and exists (select 1 from mine)
  )
  select id from mine`;

const renewText = `
  update operations set
    lease_until = clock_timestamp() + $3::integer * interval '1 millisecond',
    next_check_at = clock_timestamp() + $3::integer * interval '1 millisecond'
  where id = $1 and fence = $2 and state = 'running'`;

async function isStillOurs(database: Queryable, lease: Lease): Promise<boolean> {
  const text = `select 1 from operations where id = $1 and fence = $2 and state = 'running'`;
  return (await database.query(text, [lease.operationId, lease.fence])).rowCount > 0;
}

/** The runner's records in the platform's database. */
export function operationRecords(database: Database): OperationRecords {
  return {
    take: (operationId, options) => take(database, operationId, options),
    async beginStep(lease, { step, attempt, before, leaseMs }) {
      const values = [lease.operationId, lease.fence, step, attempt, leaseMs, before];
      const { rows } = await database.query<{
        cancel_requested: boolean;
        overtaken: boolean;
        deadline_passed: boolean;
      }>(beginStepText, values);
      const row = rows[0];
      if (row === undefined) throw fencedOut(lease.operationId);
      const { cancel_requested: cancelRequested, overtaken, deadline_passed: deadlinePassed } = row;
      return { cancelRequested, overtaken, deadlinePassed };
    },
    async cancellation(operationId) {
      const text = `select state, cancel_requested from operations where id = $1 and overtaken_by is null`;
      const { rows } = await database.query<{ state: string; cancel_requested: boolean }>(text, [operationId]);
      const { state, cancel_requested: isRequested } = rows[0] ?? { state: 'unknown', cancel_requested: false };
      if (state === 'cancelled') return 'carried-out';
      return isRequested && ['queued', 'running', 'waiting'].includes(state) ? 'requested' : 'none';
    },
    async renew(lease, { leaseMs }) {
      await database.query(renewText, [lease.operationId, lease.fence, leaseMs]);
    },
    async wait(lease, { step, for: what, checkAfterMs }) {
      const values = [lease.operationId, lease.fence, oneLine(what, 500), checkAfterMs, step];
      if ((await database.query(waitText, values)).rowCount > 0) return 'waiting';
      if (await isStillOurs(database, lease)) return 'woken';
      throw fencedOut(lease.operationId);
    },
    async giveBack(lease, { step, outcome }) {
      const { rowCount } = await database.query(giveBackText, [lease.operationId, lease.fence, step, outcome]);
      if (rowCount === 0) throw fencedOut(lease.operationId);
    },
    async tryLater(lease, { step, attempt, failure, afterMs }) {
      const text = oneLine(failure.message, 1_000);
      const values = [lease.operationId, lease.fence, attempt, failure.code, step, afterMs, text];
      if ((await database.query(tryLaterText, values)).rowCount === 0) throw fencedOut(lease.operationId);
    },
  };
}
