import { webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import { type AttemptVerdict, hasFailedForLong } from '#shared/domain/webhook/retry.ts';
import { appendAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import { enqueue } from './outbox.ts';
import type { Row } from './rows.ts';
import type { HeldDelivery } from './webhook-deliveries.ts';

/** A try that has ended. */
export type EndedAttempt = {
  status: number | null;
  /** null: it was taken. */
  error: string | null;
  milliseconds: number;
  verdict: AttemptVerdict;
};

/**
 * Writes what came of a try: the log, the delivery, and how its endpoint stands. An endpoint that is gone or has failed for
 * days is disabled here, and that is announced and audited. `lost`: somebody else has tried it meanwhile, or it was asked
 * for anew; the log has the try all the same.
 */
export async function recordAttempt(
  database: Database,
  delivery: HeldDelivery,
  ended: EndedAttempt,
  { eventSource }: { eventSource: string },
): Promise<'recorded' | 'disabled' | 'lost'> {
  return await database.transaction(async (transaction) => {
    // the endpoint first, as everybody does who writes both
    const endpoint = await standing(transaction, delivery, ended);
    await transaction.query(
      'insert into webhook_attempts (delivery_id, status, error, milliseconds) values ($1, $2, $3, $4)',
      [
        delivery.id,
        ended.status,
        ended.error === null ? null : oneLine(ended.error, 300),
        Math.round(ended.milliseconds),
      ],
    );
    const isOurs = await endAttempt(transaction, delivery, ended.verdict);
    if (endpoint === undefined) return isOurs ? 'recorded' : 'lost';
    const reason = disabling(endpoint, delivery, ended.verdict);
    if (reason === undefined || !isOurs) return isOurs ? 'recorded' : 'lost';
    await disable(transaction, endpoint, { reason, eventSource, delivery });
    return 'disabled';
  });
}

type Standing = Pick<
  Row<'webhook_endpoints'>,
  'id' | 'customer_id' | 'failing_since' | 'last_success_at' | 'disabled_reason'
>;

/** How the endpoint stands after the try. undefined: nothing changed about it. */
async function standing(
  transaction: Queryable,
  { endpointId, claimedAt }: HeldDelivery,
  { verdict }: EndedAttempt,
): Promise<Standing | undefined> {
  const isTaken = verdict.is === 'taken';
  // Not at every success: its row would be written as often as it is told something.
  const { rows } = await transaction.query<Standing>(
    isTaken
      ? `update webhook_endpoints set failing_since = null, last_success_at = clock_timestamp()
         where id = $1 and (failing_since is not null or last_success_at is null
           or last_success_at < clock_timestamp() - interval '1 minute') and $2::timestamptz is not null
         returning id, customer_id, failing_since, last_success_at, disabled_reason`
      : `update webhook_endpoints set failing_since = coalesce(failing_since, $2::timestamptz)
         where id = $1 returning id, customer_id, failing_since, last_success_at, disabled_reason`,
    [endpointId, claimedAt],
  );
  return rows[0];
}

/** That it was taken is so whoever holds it by now. */
async function endAttempt(
  transaction: Queryable,
  { id, fence }: HeldDelivery,
  verdict: AttemptVerdict,
): Promise<boolean> {
  const state = { taken: 'succeeded', gone: 'failed', again: 'waiting', 'given-up': 'failed' }[verdict.is];
  const { rowCount } = await transaction.query(
    `update webhook_deliveries set state = $3, leased_until = null,
       delivered_at = case when $3 = 'succeeded' then clock_timestamp() end,
       next_attempt_at = case when $3 = 'waiting' then clock_timestamp() + $4::bigint * interval '1 ms' end
     where id = $1 and (state = 'waiting' and fence = $2 or $3 = 'succeeded' and state <> 'succeeded')`,
    [id, fence, state, verdict.is === 'again' ? verdict.delayMs : 0],
  );
  return rowCount === 1;
}

function disabling(
  endpoint: Standing,
  { begunAt }: HeldDelivery,
  verdict: AttemptVerdict,
): 'gone' | 'failing' | undefined {
  if (endpoint.disabled_reason !== null) return undefined;
  if (verdict.is === 'gone') return 'gone';
  const isForLong = hasFailedForLong({ failingSince: endpoint.failing_since, begunAt });
  return verdict.is === 'given-up' && isForLong ? 'failing' : undefined;
}

async function disable(
  transaction: Queryable,
  endpoint: Standing,
  by: { reason: 'gone' | 'failing'; eventSource: string; delivery: HeldDelivery },
): Promise<void> {
  const { reason, eventSource, delivery } = by;
  const { id, customer_id: customer, last_success_at: last } = endpoint;
  await transaction.query(
    `update webhook_endpoints set disabled_reason = $2, disabled_at = clock_timestamp(), generation = generation + 1
     where id = $1`,
    [id, reason],
  );
  await holdWaiting(transaction, id);
  const detail = { endpoint: id, customer, reason, delivery: delivery.id };
  await appendAudit(transaction, { actor: eventSource, action: 'webhook-endpoint.disabled', detail });
  const data = { endpoint: id, customer, reason, lastsuccessat: last === null ? null : last.toISOString() };
  const envelope = { id: eventIdOf(delivery.id, `disabled ${delivery.claimedAt.toISOString()}`), source: eventSource };
  await enqueue(transaction, [announce(webhookEndpointDisabled, data, envelope)]);
}

/** What still waits is kept for a replay. */
export async function holdWaiting(transaction: Queryable, endpointId: string): Promise<void> {
  await transaction.query(
    `update webhook_deliveries set state = 'held', next_attempt_at = null where endpoint_id = $1 and state = 'waiting'`,
    [endpointId],
  );
}
