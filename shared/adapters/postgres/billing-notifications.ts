import type { Queryable } from './database.ts';

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
