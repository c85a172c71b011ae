import { Failure } from '#shared/domain/failure.ts';
import type { WebhookAttempt, WebhookDelivery } from '#shared/domain/webhook/webhook.ts';
import { appendAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';
import { type Owner, readEndpoint } from './webhook-endpoints.ts';

/** A whole row. */
export function toDelivery(row: Row<'webhook_deliveries'>): WebhookDelivery {
  return {
    id: row.id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    type: row.type,
    instanceId: row.instance_id,
    sequence: row.sequence,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.next_attempt_at,
    createdAt: row.created_at,
    deliveredAt: row.delivered_at,
  };
}

/** With the text that is sent, and its last tries, newest first. @throws Failure `not-found` */
export async function readDelivery(
  queryable: Queryable,
  { id, endpointId, customerId }: { id: string; endpointId: string } & Owner,
): Promise<WebhookDelivery & { body: string; tries: WebhookAttempt[] }> {
  await readEndpoint(queryable, endpointId, { customerId });
  const { rows } = await queryable.query<Row<'webhook_deliveries'>>(
    'select * from webhook_deliveries where id = $1 and endpoint_id = $2',
    [id, endpointId],
  );
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', 'There is no such delivery.');
  const tries = await queryable.query<WebhookAttempt>(
    'select at, status, error, milliseconds from webhook_attempts where delivery_id = $1 order by sequence desc limit 50',
    [id],
  );
  return { ...toDelivery(row), body: row.body, tries: tries.rows };
}

/** The fence grows on: whoever is at a try from before has lost it. */
const afresh = `state = 'waiting', attempts = 0, begun_at = null, leased_until = null, next_attempt_at = clock_timestamp(),
  delivered_at = null`;

/**
 * Sends it once more under the same id, whatever became of it; one that waits is sent now. A receiver that has it already knows
 * it by its id. @throws Failure `not-found`, `not-allowed` where the endpoint is disabled
 */
export async function redeliver(
  database: Database,
  { id, endpointId, customerId }: { id: string; endpointId: string } & Owner,
  { actor }: { actor: string },
): Promise<WebhookDelivery> {
  return await database.transaction(async (transaction) => {
    await requireEnabled(transaction, endpointId, { customerId });
    const { rows } = await transaction.query<Row<'webhook_deliveries'>>(
      `update webhook_deliveries set ${afresh} where id = $1 and endpoint_id = $2 returning *`,
      [id, endpointId],
    );
    const row = rows[0];
    if (row === undefined) throw new Failure('not-found', 'There is no such delivery.');
    const detail = { endpoint: endpointId, delivery: id };
    await appendAudit(transaction, {
      actor,
      action: 'webhook-delivery.redelivered',
      instanceId: row.instance_id,
      detail,
    });
    return toDelivery(row);
  });
}

/** As many at once; a caller with more asks again. */
export const replayAtMost = 1_000;

/**
 * Sends what the endpoint has not got, oldest first: what was given up, and what was kept while it was disabled. How many.
 * @throws Failure `not-found`, `not-allowed` where the endpoint is disabled
 */
export async function replay(
  database: Database,
  { endpointId, customerId }: { endpointId: string } & Owner,
  { since, actor }: { since: Date; actor: string },
): Promise<number> {
  return await database.transaction(async (transaction) => {
    await requireEnabled(transaction, endpointId, { customerId });
    const { rowCount } = await transaction.query(
      `update webhook_deliveries set ${afresh} where id in (
         select id from webhook_deliveries
         where endpoint_id = $1 and state in ('failed', 'held') and created_at >= $2
         order by created_at, id limit $3 for update)`,
      [endpointId, since, replayAtMost],
    );
    const detail = { endpoint: endpointId, since: since.toISOString(), deliveries: rowCount };
    await appendAudit(transaction, { actor, action: 'webhook-endpoint.replayed', detail });
    return rowCount;
  });
}

async function requireEnabled(transaction: Queryable, endpointId: string, owner: Owner): Promise<void> {
  const { disabledReason } = await readEndpoint(transaction, endpointId, owner);
  if (disabledReason === null) return;
  throw new Failure('not-allowed', 'The webhook endpoint is disabled: enable it, then ask again.');
}

/** Deliveries that are over, and deleted endpoints, are kept for so long. */
const keptDays = 30;

/** Forgets what is older, at most `limit` of each. How many rows. */
export async function forgetDeliveries(queryable: Queryable, limit: number): Promise<number> {
  const deliveries = await queryable.query(
    `delete from webhook_deliveries where id in (
       select id from webhook_deliveries
       where state <> 'waiting' and created_at < clock_timestamp() - $1::integer * interval '1 day'
       order by created_at limit $2 for update skip locked)`,
    [keptDays, limit],
  );
  const endpoints = await queryable.query(
    `delete from webhook_endpoints where id in (
       select id from webhook_endpoints e
       where deleted_at < clock_timestamp() - $1::integer * interval '1 day'
         and not exists (select from webhook_deliveries d where d.endpoint_id = e.id)
       limit $2 for update skip locked)`,
    [keptDays, limit],
  );
  return deliveries.rowCount + endpoints.rowCount;
}
