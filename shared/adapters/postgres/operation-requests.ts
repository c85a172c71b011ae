import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import type { Queryable } from './database.ts';

/** A new operation's row. */
export type NewOperation = {
  id: string;
  instanceId: string;
  kind: OperationKind;
  definitionVersion: number;
  deadlineMs: number;
  idempotencyKey: string;
  requestedBy: string;
  cause: string;
  request: unknown;
};

/**
 * Serialises everything that is asked of these instances until the transaction ends. In the order of their ids, so that
 * nobody waits for another crosswise.
 */
export async function lockInstanceRequests(transaction: Queryable, ...instanceIds: readonly string[]): Promise<void> {
  await transaction.query(
    `select pg_advisory_xact_lock(hashtextextended('instance ' || id, 0)) from unnest($1::text[]) as id`,
    [instanceIds.toSorted()],
  );
}

/**
 * Notes a requested operation, due at once, with the trace of the request: it goes on in that one. Its place is behind all
 * others of the instance, also when its transaction began before theirs and then waited for them.
 */
export async function insertOperation(transaction: Queryable, operation: NewOperation): Promise<void> {
  await transaction.query(
    `insert into operations (id, instance_id, kind, definition_version, state, next_check_at, deadline,
       idempotency_key, requested_by, cause, request, traceparent, created_at)
     values ($1, $2, $3, $4, 'queued', clock_timestamp(), clock_timestamp() + $5::integer * interval '1 millisecond',
       $6, $7, $8, $9, $10, greatest(clock_timestamp(),
         (select max(o.created_at) + interval '1 microsecond' from operations o where o.instance_id = $2)))`,
    [
      operation.id,
      operation.instanceId,
      operation.kind,
      operation.definitionVersion,
      operation.deadlineMs,
      operation.idempotencyKey,
      operation.requestedBy,
      operation.cause,
      JSON.stringify(operation.request),
      traceAttributes(currentContext()).traceparent ?? null,
    ],
  );
}

/** The operation an idempotency key already stands for. */
export async function findRequested(
  queryable: Queryable,
  key: { instanceId: string; kind: OperationKind; idempotencyKey: string },
): Promise<{ id: string; request: unknown } | undefined> {
  const { rows } = await queryable.query<{ id: string; request: unknown }>(
    'select id, request from operations where instance_id = $1 and kind = $2 and idempotency_key = $3',
    [key.instanceId, key.kind, key.idempotencyKey],
  );
  return rows[0];
}

/** What a command needs to know of an operation. */
export async function findOperation(
  queryable: Queryable,
  operationId: string,
): Promise<{ instanceId: string; customerId: string; kind: string; state: string } | undefined> {
  const { rows } = await queryable.query<{ instance_id: string; customer_id: string; kind: string; state: string }>(
    `select o.instance_id, i.customer_id, o.kind, o.state
     from operations o join instances i on i.id = o.instance_id where o.id = $1`,
    [operationId],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return { instanceId: row.instance_id, customerId: row.customer_id, kind: row.kind, state: row.state };
}

// A later operation has touched the instance since: going on, or undoing, would spoil what that one did.
const nothingLater = `not exists (
  select 1 from operations as later where later.instance_id = mine.instance_id
    and (later.created_at, later.id) > (mine.created_at, mine.id) and later.state <> 'cancelled'
    and coalesce(later.result ->> 'result', '') <> 'nothing-to-do'
    -- a repair brings about what the row wants: so does whoever goes on; the others change nothing
    and later.kind not in ('repair', 'backup', 'verify', 'export'))`;

/**
 * Puts a failed operation back in the queue, with a new round and a new deadline. It is carried out by the version that
 * is asked: steps look before they act, so that one with other steps begins at its first. The same becomes of one that is
 * not finished, and was begun with steps that the asked one does not know: after a rollback nobody goes on with it.
 * False in all other cases, and when a later operation has touched the instance since it failed.
 */
export async function retryOperation(
  transaction: Queryable,
  operationId: string,
  options: { deadlineMs: number; definitionVersion: number; knownVersions: readonly number[] },
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `update operations as mine set
       state = 'queued', attempt = 1, round = round + 1, error_code = null, error_text = null, finished_at = null,
       next_check_at = clock_timestamp(), not_before = null, generation = null,
       deadline = clock_timestamp() + $2::integer * interval '1 millisecond', started_at = clock_timestamp(),
       step = case when definition_version = $3 then step end, definition_version = $3,
       lease_holder = null, lease_until = null, waiting_for = null, told_at = null
     where id = $1 and ((state = 'failed' and ${nothingLater})
       or (state in ('queued', 'running', 'waiting') and definition_version <> all($4::integer[])
         and (lease_until is null or lease_until < clock_timestamp())))`,
    [operationId, options.deadlineMs, options.definitionVersion, options.knownVersions],
  );
  return rowCount > 0;
}

/**
 * Asks for an operation's undoing at its next step. False when it has succeeded or is cancelled already, or when it has
 * failed and a later operation has touched the instance since.
 */
export async function requestCancel(
  transaction: Queryable,
  operationId: string,
  options: { definitionVersion: number; knownVersions: readonly number[] },
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `update operations as mine set
       cancel_requested = true, next_check_at = clock_timestamp(), woken = true, told_at = null,
       state = case when state = 'failed' then 'queued' else state end,
       definition_version = case when state = 'failed' and definition_version <> all($3::integer[]) then $2 else definition_version end,
       deadline = greatest(deadline, clock_timestamp() + interval '10 minutes'),
       error_code = null, error_text = null, finished_at = null
     where id = $1 and (state in ('queued', 'running', 'waiting') or (state = 'failed' and ${nothingLater}))`,
    [operationId, options.definitionVersion, options.knownVersions],
  );
  return rowCount > 0;
}
