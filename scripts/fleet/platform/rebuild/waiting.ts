import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { endUnfinishedLoad } from '#shared/adapters/postgres/load-records.ts';
import { endUnfinishedRestore } from '#shared/adapters/postgres/restore-records.ts';
import { oldSideName } from '#shared/domain/backup/load-names.ts';
import { Failure } from '#shared/domain/failure.ts';
import { isSentAgain } from '#shared/domain/platform/rebuild.ts';

// What waits in restored records, and would be done by them without knowing what happened since.

/** Billing's decisions that were due: its services are given so long to send what they have sent since the backup. */
const billingHours = 24;

/**
 * More messages than an endpoint was told of one instance since the backup. Their numbers are not given a second time: a
 * receiver takes a number for one message, and what the records have forgotten for a gap.
 */
const skippedNumbers = 1_000_000;

export type Waiting = {
  /** Events that the tick sends, perhaps for the second time, each under the id it had. */
  sentAgain: { id: string; type: string }[];
  notSent: number;
  cancelled: { id: string; kind: string; instanceId: string }[];
  /** Restores that go on: what became of the files is seen by them. */
  exchanged: { id: string; instanceId: string }[];
  billingHeld: number;
};

/**
 * Restores and exports that were under way are not begun again: they may have ended since, and doing a restore twice would put a
 * customer's data back behind what he did meanwhile. One that had exchanged the database already goes on: what is left of it
 * can be repeated.
 */
const cancelText = `
  update operations o set state = 'cancelled', finished_at = clock_timestamp(), next_check_at = null, lease_holder = null,
    lease_until = null, error_code = 'cancelled', error_text = $1
  where state in ('queued', 'running', 'waiting') and kind in ('restore', 'export')
    and not exists (select from restores r where r.id = o.id and r.state = 'switched')
  returning id, kind, instance_id as "instanceId"`;

/** Restores that have exchanged the database since the backup, as the side that went out shows: they go on. */
async function markExchanged(transaction: Queryable, oldSides: ReadonlySet<string>): Promise<Waiting['exchanged']> {
  const { rows } = await transaction.query<{ id: string; instanceId: string }>(
    `select r.id, r.instance_id as "instanceId" from restores r join operations o on o.id = r.id
     where r.state = 'running' and o.state in ('queued', 'running', 'waiting')`,
  );
  const exchanged = rows.filter(({ id, instanceId }) => oldSides.has(oldSideName({ instanceId, operationId: id })));
  const text = `update restores set state = 'switched', switched_at = clock_timestamp() where id = any($1::uuid[])`;
  await transaction.query(text, [exchanged.map(({ id }) => id)]);
  return exchanged;
}

async function cancelUnsafe(transaction: Queryable): Promise<Waiting['cancelled']> {
  const failure = new Failure('cancelled', 'The platform was rebuilt from a backup while this was under way.');
  const { rows } = await transaction.query<Waiting['cancelled'][number]>(cancelText, [failure.message]);
  for (const { id } of rows) {
    // what they hold is given back: a backup they read, a slot
    await endUnfinished(transaction, id, failure);
    await endUnfinishedLoad(transaction, id, failure);
    await endUnfinishedRestore(transaction, id, failure);
  }
  return rows;
}

/** `oldSides`: names of the databases on all servers that restores took out. */
export async function settleWaiting(
  transaction: Queryable,
  { snapshotAt, oldSides }: { snapshotAt: Date; oldSides: ReadonlySet<string> },
): Promise<Waiting> {
  const { rows: events } = await transaction.query<{ id: string; type: string; createdAt: Date }>(
    `select id, type, created_at as "createdAt" from outbox where published_at is null order by sequence`,
  );
  const sentAgain = events.filter((event) => isSentAgain(event, snapshotAt));
  const kept = new Set(sentAgain.map(({ id }) => id));
  const dropped = events.filter(({ id }) => !kept.has(id)).map(({ id }) => id);
  await transaction.query(
    `update outbox set published_at = clock_timestamp(), last_error = 'not sent: the platform was rebuilt from a backup'
     where id = any($1::uuid[])`,
    [dropped],
  );
  const exchanged = await markExchanged(transaction, oldSides);
  const cancelled = await cancelUnsafe(transaction);
  await transaction.query(
    `update operations set lease_holder = null, lease_until = null, next_check_at = clock_timestamp(), not_before = null
     where state in ('queued', 'running', 'waiting')`,
  );
  await transaction.query('delete from leases');
  await transaction.query('update webhook_sequences set last = last + $1::bigint', [skippedNumbers]);
  await transaction.query('update reconcile_shards set due_at = clock_timestamp(), holder = null, until = null');
  const later = `clock_timestamp() + ${billingHours} * interval '1 hour'`;
  const held = await transaction.query(
    `update subscriptions set action_due_at = ${later} where action_due_at < ${later}`,
  );
  await transaction.query(`update billing_requests set check_at = ${later} where check_at < ${later}`);
  return {
    sentAgain: sentAgain.map(({ id, type }) => ({ id, type })),
    notSent: dropped.length,
    cancelled,
    exchanged,
    billingHeld: held.rowCount,
  };
}
