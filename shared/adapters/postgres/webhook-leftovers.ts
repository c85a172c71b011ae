import { appendAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import { closeEndpoint } from './webhook-endpoints.ts';

/** A customer who was deleted may come back, and the last that he is told of is the purge of his instances: three days of tries. */
const restDays = 7;

/**
 * Deletes endpoints of customers who were deleted, when all that is to be told is told: none of their instances is left, and
 * nothing waits to be sent. At most `limit`; how many. What was kept for a replay goes with its time, and then the row.
 */
export async function deleteLeftEndpoints(
  database: Database,
  { actor, limit }: { actor: string; limit: number },
): Promise<number> {
  return await database.transaction(async (transaction) => {
    const { rows } = await transaction.query<{ id: string; customer_id: string }>(
      `select e.id, e.customer_id from webhook_endpoints e
       join lateral (
         select standing, updated_at from customer_standings
         where customer_id = e.customer_id order by updated_at desc limit 1) s
         on s.standing = 'deleted' and s.updated_at < clock_timestamp() - $1::integer * interval '1 day'
       where e.deleted_at is null
         and not exists (
           select from instances i where i.customer_id = e.customer_id
             and coalesce(i.purged_at, clock_timestamp()) > clock_timestamp() - $1::integer * interval '1 day')
         and not exists (select from webhook_deliveries d where d.endpoint_id = e.id and d.state = 'waiting')
       order by e.id limit $2 for no key update of e skip locked`,
      [restDays, limit],
    );
    for (const { id, customer_id: customer } of rows) {
      await closeEndpoint(transaction, id);
      const detail = { endpoint: id, customer, why: 'The customer was deleted, and so are all his instances.' };
      await appendAudit(transaction, { actor, action: 'webhook-endpoint.deleted', detail });
    }
    return rows.length;
  });
}

/** As long as deliveries are kept. */
const keptDays = 30;

/**
 * Forgets secrets whose time is over, and the numbers of instances that were purged long ago, of which nothing more can
 * come; at most `limit` of each. How many rows.
 */
export async function forgetLeftovers(queryable: Queryable, limit: number): Promise<number> {
  const secrets = await queryable.query(
    `update webhook_endpoints set previous_secret = null, previous_until = null where id in (
       select id from webhook_endpoints where previous_until < clock_timestamp() limit $1 for no key update skip locked)`,
    [limit],
  );
  const numbers = await queryable.query(
    `delete from webhook_sequences where (endpoint_id, stream) in (
       select s.endpoint_id, s.stream from webhook_sequences s join instances i on i.id = s.stream
       where i.purged_at < clock_timestamp() - $1::integer * interval '1 day'
         and not exists (select from webhook_deliveries d where d.endpoint_id = s.endpoint_id and d.stream = s.stream)
       limit $2 for update of s skip locked)`,
    [keptDays, limit],
  );
  return secrets.rowCount + numbers.rowCount;
}
