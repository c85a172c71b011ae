import type { Intent, Wish } from '#shared/domain/instance/intent.ts';
import type { OperationFacts } from '#shared/domain/instance/operation-admission.ts';
import { isMaking, type OperationKind } from '#shared/domain/operation/operation.ts';
import type { UnfinishedOperation } from '#shared/domain/operation/queueing.ts';
import { lockCustomer } from './customers.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** Reasons of the open suspensions of an instance, as a column of a query on `instances i`. */
export const openSuspensions = `array(select s.reason from suspensions s
    where s.instance_id = i.id and s.closed_at is null order by s.reason) as suspensions`;

// Before the instance's row: whoever ends an operation locks them in this order, too.
const unfinishedText = `
  select id, kind, request ->> case kind when 'backup' then 'kind' when 'verify' then 'backup' when 'export' then 'backup' else 'cause' end as cause,
    fence > 0 as "hasBegun" from operations
  where instance_id = $1 and state in ('queued', 'running', 'waiting') and not cancel_requested
  order by created_at, id for update`;

const factsText = `
  select i.name, i.desired_state, i.status, i.observed_generation, i.customer_id, i.desired_before,
    i.purged_at is not null as is_purged, coalesce(i.purge_after < clock_timestamp(), false) as is_past_undo,
    ${openSuspensions}
  from instances i where i.id = $1 for update of i`;

type FactsRow = Pick<
  Row<'instances'>,
  'name' | 'desired_state' | 'status' | 'observed_generation' | 'customer_id' | 'desired_before'
> & { is_purged: boolean; is_past_undo: boolean; suspensions: Row<'suspensions'>['reason'][] };

/** What decides about a request on an instance. */
export type LockedInstance = {
  name: string;
  facts: OperationFacts;
  wish: Wish;
  unfinished: readonly UnfinishedOperation[];
};

/**
 * Reads what decides about a request, with the instance's unfinished operations, its row and (for an undo, which counts
 * against the quota) its customer's row locked until the end of the transaction. Undefined when there is no such instance.
 */
export async function lockInstance(
  transaction: Queryable,
  asked: { instanceId: string; kind: OperationKind },
): Promise<LockedInstance | undefined> {
  const { rows: unfinished } = await transaction.query<UnfinishedOperation>(unfinishedText, [asked.instanceId]);
  const { rows } = await transaction.query<FactsRow>(factsText, [asked.instanceId]);
  const row = rows[0];
  if (row === undefined) return undefined;
  const customer = asked.kind === 'undo' ? await lockCustomer(transaction, row.customer_id) : undefined;
  return {
    name: row.name,
    unfinished,
    wish: {
      desiredState: row.desired_state,
      suspensions: row.suspensions,
      desiredBefore: row.desired_before,
    },
    facts: {
      desiredState: row.desired_state,
      suspensions: row.suspensions,
      status: row.status,
      observedGeneration: row.observed_generation,
      customerId: row.customer_id,
      isBeingMade: unfinished.some(({ kind }) => isMaking(kind)),
      isPastUndo: row.is_past_undo,
      isPurged: row.is_purged,
      liveInstances: customer?.liveInstances ?? 0,
      quota: customer?.quota ?? 0,
    },
  };
}

// A new generation is something new to bring about: the instance is settled again when an operation has done it.
const wishText = `
  with forgotten as (delete from observations where instance_id = $1)
  update instances set
    desired_state = coalesce($2, desired_state),
    generation = generation + 1,
    restarted_by = coalesce($3, restarted_by),
    desired_before = case $4 when 'set' then case desired_state when 'stopped' then 'stopped' else 'running' end
      when 'lifted' then null else desired_before end,
    terminated_at = case $4 when 'set' then clock_timestamp() when 'lifted' then null else terminated_at end,
    purge_after = case $4
      when 'set' then clock_timestamp() + (select undo_days from plans where id = plan_id) * interval '1 day'
      when 'lifted' then null else purge_after end,
    updated_at = clock_timestamp()
  where id = $1`;

/** Writes what is wanted from now on. Nothing at all when the intent is empty. */
export async function applyIntent(
  transaction: Queryable,
  intent: Intent,
  by: { instanceId: string; operationId: string; cause: string },
): Promise<void> {
  if (Object.keys(intent).length === 0) return;
  const { desiredState = null, tombstone = null, opens, closes } = intent;
  const restartedBy = intent.restarts === true ? by.operationId : null;
  await transaction.query(wishText, [by.instanceId, desiredState, restartedBy, tombstone]);
  if (opens !== undefined) {
    const text = `insert into suspensions (instance_id, reason, cause) values ($1, $2, $3)
      on conflict (instance_id, reason) where closed_at is null do nothing`;
    await transaction.query(text, [by.instanceId, opens, by.cause]);
  }
  if (closes !== undefined) {
    const text = `update suspensions set closed_at = clock_timestamp()
      where instance_id = $1 and reason = $2 and closed_at is null`;
    await transaction.query(text, [by.instanceId, closes]);
  }
}

/**
 * Ends operations in favour of a later one: those that never had their turn at once, the others at their next step.
 * Returns the latter: they have to be told.
 */
export async function overtake(
  transaction: Queryable,
  operations: readonly UnfinishedOperation[],
  by: { operationId: string },
): Promise<readonly UnfinishedOperation[]> {
  if (operations.length === 0) return [];
  const { rows } = await transaction.query<{ id: string; fence: number }>(
    `update operations set
       overtaken_by = $2, cancel_requested = true,
       state = case when fence = 0 then 'cancelled' else state end,
       finished_at = case when fence = 0 then clock_timestamp() end,
       next_check_at = case when fence = 0 then null else clock_timestamp() end,
       woken = fence > 0, told_at = null
     where id = any($1::uuid[])
     returning id, fence`,
    [operations.map(({ id }) => id), by.operationId],
  );
  const begun = new Set(rows.filter(({ fence }) => fence > 0).map(({ id }) => id));
  return operations.filter(({ id }) => begun.has(id));
}

/** Is this the newest of a source's ordered stream so far? Notes it if so. The same number again is not newer. */
export async function advanceStream(
  transaction: Queryable,
  at: { source: string; stream: string; sequence: number },
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `insert into streams as held (source, stream, sequence) values ($1, $2, $3)
     on conflict (source, stream) do update set sequence = excluded.sequence, updated_at = clock_timestamp()
       where held.sequence < excluded.sequence`,
    [at.source, at.stream, at.sequence],
  );
  return rowCount > 0;
}
