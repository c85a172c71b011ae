import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import type { Queryable } from './database.ts';
import { noteWritten, type OutboxRow, outboxColumns } from './outbox.ts';

/** Names of what a billing service told, and what its repetition is recognised by. */
export type BillingNotification = {
  form: 'kill-bill' | 'signed';
  /** sha256: of the content, or of the sender's own id. */
  key: Buffer;
  contentHash: Buffer;
  type: string;
  accountId: string | null;
  objectId: string | null;
};

/** Notes that it came. `repeated`: it came before; `other-content`: its id did, with something else. */
export async function noteNotification(
  transaction: Queryable,
  notification: BillingNotification,
): Promise<'new' | 'repeated' | 'other-content'> {
  const { form, key, contentHash, type, accountId, objectId } = notification;
  const { rows } = await transaction.query<{ deliveries: number; is_same: boolean }>(
    `insert into billing_notifications as known (form, key, content_hash, type, account_id, object_id)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (form, key) do update
       set deliveries = known.deliveries + 1, last_received_at = clock_timestamp()
     returning deliveries, content_hash = $3 as is_same`,
    [form, key, contentHash, type, accountId, objectId],
  );
  const [row] = rows;
  if (row === undefined || row.deliveries === 1) return 'new';
  return row.is_same ? 'repeated' : 'other-content';
}

/**
 * Notes what Kill Bill told of an account, and that it is to be looked at; `ask` goes into the outbox unless somebody was
 * asked already, who then looks again for this. One statement for all of it: this is what a sender waits for.
 */
export async function noteForLook(
  transaction: Queryable,
  notification: BillingNotification & { accountId: string },
  ask: OutgoingEvent,
): Promise<'new' | 'repeated'> {
  const { form, key, contentHash, type, accountId, objectId } = notification;
  const { rows } = await transaction.query<{ deliveries: number } & (OutboxRow | { id: null })>(
    `with noted as (
       insert into billing_notifications as known (form, key, content_hash, type, account_id, object_id)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (form, key) do update
         set deliveries = known.deliveries + 1, last_received_at = clock_timestamp()
       returning deliveries),
     asked as (
       insert into kill_bill_accounts as known (id, look_at) values ($5, clock_timestamp())
       on conflict (id) do update set asked = known.asked + 1, look_at = clock_timestamp(),
         sent_at = case when known.asked = known.looked then clock_timestamp() else known.sent_at end
       returning asked = looked + 1 as is_first),
     sent as (
       insert into outbox (id, type, source, subject, data, extensions)
       select $7, $8, $9, $10, $11::jsonb, $12::jsonb from asked where is_first
       returning ${outboxColumns})
     select deliveries, sent.* from noted left join sent on true`,
    [
      ...[form, key, contentHash, type, accountId, objectId],
      ...[ask.id, ask.type, ask.source, ask.subject ?? null, JSON.stringify(ask.data)],
      JSON.stringify({ ...ask.extensions, ...traceAttributes(currentContext()) }),
    ],
  );
  noteWritten(
    transaction,
    rows.filter((row) => row.id !== null),
  );
  return (rows[0]?.deliveries ?? 1) > 1 ? 'repeated' : 'new';
}

/** Forgets what came longer ago than any sender repeats it, at most `limit` of each kind. Returns how many. */
export async function forgetNotifications(
  queryable: Queryable,
  { olderThanDays, limit }: { olderThanDays: number; limit: number },
): Promise<number> {
  const { rowCount: notifications } = await queryable.query(
    `delete from billing_notifications where (form, key) in (
       select form, key from billing_notifications
       where last_received_at < clock_timestamp() - $1::integer * interval '1 day' limit $2 for update skip locked)`,
    [olderThanDays, limit],
  );
  const { rowCount: payments } = await queryable.query(
    `delete from kill_bill_payments where (account_id, name) in (
       select account_id, name from kill_bill_payments
       where told_at < clock_timestamp() - $1::integer * interval '1 day' limit $2 for update skip locked)`,
    [olderThanDays, limit],
  );
  return notifications + payments;
}
