import type { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Lease } from '#shared/domain/operation/ports.ts';
import type { Queryable } from './database.ts';
import { fencedOut } from './operation-records.ts';

async function end(transaction: Queryable, lease: Lease, text: string, values: readonly unknown[]): Promise<void> {
  const { rowCount } = await transaction.query(text, [lease.operationId, lease.fence, ...values]);
  if (rowCount === 0) throw fencedOut(lease.operationId);
}

const freed = `lease_holder = null, lease_until = null, next_check_at = null, waiting_for = null,
  finished_at = clock_timestamp()`;

async function closeSteps(
  transaction: Queryable,
  lease: Lease,
  close: { outcome: 'done' | 'failed' | 'undone'; code?: string; text?: string },
): Promise<void> {
  await transaction.query(
    `update operation_steps set finished_at = clock_timestamp(), outcome = $2, error_code = $3, error_text = $4
     where operation_id = $1 and finished_at is null`,
    [lease.operationId, close.outcome, close.code ?? null, close.text ?? null],
  );
}

/** Ends an operation well. Like the two below: part of the caller's transaction, refused with Failure `fenced`. */
export async function succeedOperation(transaction: Queryable, lease: Lease, result: unknown): Promise<void> {
  const text = `update operations set state = 'succeeded', result = $3, ${freed}
    where id = $1 and fence = $2 and state = 'running'`;
  await end(transaction, lease, text, [JSON.stringify(result)]);
  await closeSteps(transaction, lease, { outcome: 'done' });
}

type FailedEnd = {
  failure: Failure;
  refusesCancel?: boolean;
  /** Nothing of its work is left: a retry begins at the first step. */
  fromStart?: boolean;
  /** A retry begins at this step, the first one; what the steps made before is there, and a cancel undoes it. */
  restartAt?: string;
};

/**
 * Ends an operation for now: it keeps its step and its work, until a person says retry or cancel. A cancel that came
 * while the step failed is carried out next, just as if it had come a moment later, unless the failure is why it is
 * refused.
 */
export async function failOperation(
  transaction: Queryable,
  lease: Lease,
  { failure, refusesCancel = false, fromStart = false, restartAt }: FailedEnd,
): Promise<void> {
  const message = oneLine(failure.message, 1_000);
  const text = `update operations set
      state = case when cancel_requested and not $5 then 'queued' else 'failed' end, error_code = $3, error_text = $4,
      next_check_at = case when cancel_requested and not $5 then clock_timestamp() end,
      finished_at = case when not cancel_requested or $5 then clock_timestamp() end,
      cancel_requested = cancel_requested and not $5,
      step = case when $6 then null when step is not null then coalesce($7, step) end, lease_holder = null, lease_until = null, waiting_for = null
    where id = $1 and fence = $2 and state = 'running'`;
  await end(transaction, lease, text, [failure.code, message, refusesCancel, fromStart, restartAt ?? null]);
  await closeSteps(transaction, lease, { outcome: 'failed', code: failure.code, text: message });
}

/** Ends an operation whose work was undone. */
export async function cancelOperation(transaction: Queryable, lease: Lease): Promise<void> {
  const text = `update operations set state = 'cancelled', ${freed}
    where id = $1 and fence = $2 and state = 'running'`;
  await end(transaction, lease, text, []);
  await closeSteps(transaction, lease, { outcome: 'undone' });
}

/** An operation another function may be asked to advance. */
export type WaitingOperation = { id: string; instanceId: string; kind: string };

/** The oldest queued operation of an instance, to be woken when the one before it ends. */
export async function nextQueued(transaction: Queryable, instanceId: string): Promise<WaitingOperation | undefined> {
  const { rows } = await transaction.query<{ id: string; instance_id: string; kind: string }>(
    `select id, instance_id, kind from operations where instance_id = $1 and state = 'queued'
     order by created_at, id limit 1`,
    [instanceId],
  );
  const row = rows[0];
  return row === undefined ? undefined : { id: row.id, instanceId: row.instance_id, kind: row.kind };
}

/** The operation at work on an instance, if there is one. */
export async function activeOperation(queryable: Queryable, instanceId: string): Promise<WaitingOperation | undefined> {
  const { rows } = await queryable.query<{ id: string; instance_id: string; kind: string }>(
    `select id, instance_id, kind from operations where instance_id = $1 and state in ('running', 'waiting')`,
    [instanceId],
  );
  const row = rows[0];
  return row === undefined ? undefined : { id: row.id, instanceId: row.instance_id, kind: row.kind };
}

/** An operation that is due, and for how long. */
export type DueOperation = WaitingOperation & {
  overdueMs: number;
  /** Of the trace it goes on in; null where it began before traces were kept. */
  traceparent: string | null;
};

/**
 * Operations whose time has come: a wait is over, a lease ran out, a queued one may have its turn. One that was given
 * out is not given out again within `holdOffMs`, so that two ticks do not send the same advance twice; it stays due, and
 * `overdueMs` counts on, until somebody takes its lease. Those that were told longest ago come first: ones that nobody
 * can take must not keep the others from being told.
 */
export async function takeDueOperations(
  queryable: Queryable,
  options: { limit: number; holdOffMs: number },
): Promise<DueOperation[]> {
  type Row = { id: string; instance_id: string; kind: string; overdue_ms: number; traceparent: string | null };
  const { rows } = await queryable.query<Row>(
    `with due as (
       select o.id from operations o
       where o.state in ('queued', 'running', 'waiting') and o.next_check_at <= clock_timestamp()
         and (o.told_at is null or o.told_at <= clock_timestamp() - $2::integer * interval '1 millisecond')
         and (o.state <> 'queued' or not exists (select 1 from operations a
           where a.instance_id = o.instance_id and a.state in ('running', 'waiting')))
       order by coalesce(o.told_at, o.next_check_at) limit $1 for update skip locked
     )
     update operations as o set told_at = clock_timestamp()
     from due where o.id = due.id
     returning o.id, o.instance_id, o.kind, o.traceparent,
       extract(epoch from clock_timestamp() - o.next_check_at)::float8 * 1000 as overdue_ms`,
    [options.limit, options.holdOffMs],
  );
  return rows
    .map(({ id, instance_id: instanceId, kind, overdue_ms: overdueMs, traceparent }) => ({
      id,
      instanceId,
      kind,
      overdueMs,
      traceparent,
    }))
    .sort((one, other) => other.overdueMs - one.overdueMs);
}

/** Seconds since the operation was accepted, by the database's clock. */
export async function secondsSinceAccepted(queryable: Queryable, operationId: string): Promise<number> {
  const { rows } = await queryable.query<{ seconds: number }>(
    `select round(extract(epoch from clock_timestamp() - created_at)::numeric, 3)::float8 as seconds
     from operations where id = $1`,
    [operationId],
  );
  return rows[0]?.seconds ?? 0;
}
