import type { Queryable } from './database.ts';
import type { TellableEvent } from './webhook-deliveries.ts';

/** So many of the last events are looked through; a broker has to lose one for longer than it takes to write them. */
const lookedThrough = 20_000;

/**
 * Events that an endpoint wants and has no delivery of, though a broker had a minute to bring them: it has lost them, or had no
 * place for them. Of the last hour, oldest first.
 */
export async function listUntold(
  queryable: Queryable,
  { types, limit, olderThanMs = 60_000 }: { types: readonly string[]; limit: number; olderThanMs?: number },
): Promise<TellableEvent[]> {
  const { rows } = await queryable.query<{
    id: string;
    type: string;
    customer: string;
    data: Record<string, unknown>;
    created_at: Date;
  }>(
    `select o.id, o.type, o.extensions ->> 'tenantid' as customer, o.data, o.created_at
     from outbox o
     where o.sequence > (select coalesce(max(sequence), 0) from outbox) - $1::bigint
       and o.type = any ($2) and o.extensions ? 'tenantid'
       and o.created_at between clock_timestamp() - interval '1 hour'
         and clock_timestamp() - $3::integer * interval '1 ms'
       and exists (
         select from webhook_endpoints e
         where e.customer_id = o.extensions ->> 'tenantid' and e.deleted_at is null and e.since <= o.created_at
           and (e.types = '{}' or o.type = any (e.types))
           and not exists (select from webhook_deliveries d where d.endpoint_id = e.id and d.event_id = o.id))
     order by o.sequence limit $4`,
    [lookedThrough, types, olderThanMs, limit],
  );
  return rows.map(({ id, type, customer, data, created_at }) => {
    const instance = data['instance'];
    const instanceId = typeof instance === 'string' ? instance : null;
    return { id, type, customerId: customer, instanceId, time: created_at, data };
  });
}
