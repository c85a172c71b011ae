import { Failure } from '#shared/domain/failure.ts';
import type { VisibleType } from '#shared/domain/webhook/visible-events.ts';
import type { WebhookEndpoint } from '#shared/domain/webhook/webhook.ts';
import { appendAudit } from './audit.ts';
import { ensureCustomer, lockCustomer } from './customers.ts';
import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';
import { holdWaiting } from './webhook-results.ts';

/** Whose rows are seen: one customer's, or with null everybody's. Another one's is not there. */
export type Owner = { customerId: string | null };

/** Each event is one more request for each of them. */
export const endpointsAtMost = 10;

const isOwned = '($2::text is null or customer_id = $2) and deleted_at is null';

/** A whole row, without its secrets. */
export function toEndpoint(row: Row<'webhook_endpoints'>): WebhookEndpoint {
  return {
    id: row.id,
    customerId: row.customer_id,
    url: row.url,
    description: row.description,
    types: row.types,
    disabledReason: row.disabled_reason,
    disabledAt: row.disabled_at,
    failingSince: row.failing_since,
    lastSuccessAt: row.last_success_at,
    previousSecretUntil: row.previous_until,
    generation: row.generation,
    createdAt: row.created_at,
  };
}

/** @throws Failure `not-found`, also for one of another customer. */
export async function readEndpoint(queryable: Queryable, id: string, { customerId }: Owner): Promise<WebhookEndpoint> {
  const { rows } = await queryable.query<Row<'webhook_endpoints'>>(
    `select * from webhook_endpoints where id = $1 and ${isOwned}`,
    [id, customerId],
  );
  return found(rows[0]);
}

function found(row: Row<'webhook_endpoints'> | undefined): WebhookEndpoint {
  if (row === undefined) throw new Failure('not-found', 'There is no such webhook endpoint.');
  return toEndpoint(row);
}

/** @throws Failure `quota-exceeded` */
export async function insertEndpoint(
  database: Database,
  endpoint: {
    id: string;
    customerId: string;
    url: string;
    description: string;
    types: readonly VisibleType[];
    /** Wrapped. */
    secret: string;
  },
  { actor }: { actor: string },
): Promise<WebhookEndpoint> {
  const { id, customerId, url, description, types, secret } = endpoint;
  return await database.transaction(async (transaction) => {
    await ensureCustomer(transaction, customerId);
    // one after the other, so that two at once do not both find room
    await lockCustomer(transaction, customerId);
    const others = await transaction.query(
      'select from webhook_endpoints where customer_id = $1 and deleted_at is null limit $2',
      [customerId, endpointsAtMost],
    );
    if (others.rowCount >= endpointsAtMost) {
      const text = `There are ${endpointsAtMost} webhook endpoints, and there may be no more. Delete one.`;
      throw new Failure('quota-exceeded', text);
    }
    const { rows } = await transaction.query<Row<'webhook_endpoints'>>(
      `insert into webhook_endpoints (id, customer_id, url, description, types, secret)
       values ($1, $2, $3, $4, $5, $6) returning *`,
      [id, customerId, url, description, types, secret],
    );
    await audit(transaction, { actor, action: 'created', id, customerId });
    return found(rows[0]);
  });
}

export type EndpointChange = {
  url?: string | undefined;
  description?: string | undefined;
  types?: readonly VisibleType[] | undefined;
  isEnabled?: boolean | undefined;
};

/**
 * Changes what is given. Disabling keeps what waits for a replay; enabling an endpoint lets it begin afresh.
 * `generation`: the one the caller has seen. @throws Failure `not-found`, `precondition-failed`
 */
export async function changeEndpoint(
  database: Database,
  { id, customerId, generation }: { id: string; generation: number | undefined } & Owner,
  { change, actor }: { change: EndpointChange; actor: string },
): Promise<WebhookEndpoint> {
  return await database.transaction(async (transaction) => {
    const before = await lockEndpoint(transaction, id, { customerId });
    requireGeneration(before, generation);
    const { url = before.url, description = before.description, types = before.types, isEnabled } = change;
    const { rows } = await transaction.query<Row<'webhook_endpoints'>>(
      `update webhook_endpoints set url = $2, description = $3, types = $4, generation = generation + 1,
         since = case when types = $4 then since else clock_timestamp() end,
         disabled_reason = case $5::boolean when true then null when false then coalesce(disabled_reason, 'customer')
           else disabled_reason end,
         disabled_at = case $5::boolean when true then null when false then coalesce(disabled_at, clock_timestamp())
           else disabled_at end,
         failing_since = case when $5::boolean or url <> $2 then null else failing_since end
       where id = $1 returning *`,
      [id, url, description, types, isEnabled ?? null],
    );
    if (isEnabled === false) await holdWaiting(transaction, id);
    const detail = { changed: Object.keys(change) };
    await audit(transaction, { actor, action: 'changed', id, customerId: before.customerId, detail });
    return found(rows[0]);
  });
}

/** Nothing is sent there any more, and its secrets are forgotten. @throws Failure `not-found`, `precondition-failed` */
export async function deleteEndpoint(
  database: Database,
  { id, customerId, generation }: { id: string; generation: number | undefined } & Owner,
  { actor }: { actor: string },
): Promise<void> {
  await database.transaction(async (transaction) => {
    const before = await lockEndpoint(transaction, id, { customerId });
    requireGeneration(before, generation);
    await closeEndpoint(transaction, id);
    await audit(transaction, { actor, action: 'deleted', id, customerId: before.customerId });
  });
}

/** Marks it deleted, its row locked by the caller. */
export async function closeEndpoint(transaction: Queryable, id: string): Promise<void> {
  await transaction.query(
    `update webhook_endpoints set deleted_at = clock_timestamp(), secret = null, previous_secret = null,
       previous_until = null where id = $1`,
    [id],
  );
  await holdWaiting(transaction, id);
}

/**
 * The new secret signs from now on, and the one before beside it for a while. There are two at most: a second rotation within that
 * time ends the oldest. @throws Failure `not-found`
 */
export async function rotateSecret(
  database: Database,
  { id, customerId }: { id: string } & Owner,
  { secret, overlapHours, actor }: { secret: string; overlapHours: number; actor: string },
): Promise<WebhookEndpoint> {
  return await database.transaction(async (transaction) => {
    const before = await lockEndpoint(transaction, id, { customerId });
    const { rows } = await transaction.query<Row<'webhook_endpoints'>>(
      `update webhook_endpoints set secret = $2, generation = generation + 1,
         previous_secret = case when $3 > 0 then secret end,
         previous_until = case when $3 > 0 then clock_timestamp() + $3::integer * interval '1 hour' end
       where id = $1 returning *`,
      [id, secret, overlapHours],
    );
    const detail = { overlapHours };
    await audit(transaction, { actor, action: 'secret-rotated', id, customerId: before.customerId, detail });
    return found(rows[0]);
  });
}

async function lockEndpoint(transaction: Queryable, id: string, { customerId }: Owner): Promise<WebhookEndpoint> {
  const { rows } = await transaction.query<Row<'webhook_endpoints'>>(
    `select * from webhook_endpoints where id = $1 and ${isOwned} for no key update`,
    [id, customerId],
  );
  return found(rows[0]);
}

function requireGeneration({ generation }: WebhookEndpoint, seen: number | undefined): void {
  if (seen === undefined || seen === generation) return;
  const text = 'The webhook endpoint was changed meanwhile: read it again, and change what it is now.';
  throw new Failure('precondition-failed', text);
}

async function audit(
  transaction: Queryable,
  entry: { actor: string; action: string; id: string; customerId: string; detail?: Record<string, unknown> },
): Promise<void> {
  const { actor, action, id, customerId, detail } = entry;
  await appendAudit(transaction, {
    actor,
    action: `webhook-endpoint.${action}`,
    detail: { endpoint: id, customer: customerId, ...detail },
  });
}
