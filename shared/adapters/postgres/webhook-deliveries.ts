import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { customerView } from '#shared/domain/webhook/visible-events.ts';
import { messageBody } from '#shared/domain/webhook/webhook.ts';
import type { Database, Queryable } from './database.ts';

/** An event of ours that a customer may see. */
export type TellableEvent = {
  id: string;
  type: string;
  customerId: string;
  /** null: of no instance. */
  instanceId: string | null;
  /** When it happened, by the database's clock. */
  time: Date;
  data: Readonly<Record<string, unknown>>;
};

/** A delivery somebody holds until its lease ends, with all that sending takes. */
export type HeldDelivery = {
  id: string;
  endpointId: string;
  eventId: string;
  customerId: string;
  body: string;
  /** From 1, since it was last asked for. */
  attempt: number;
  /** Grows with every try: whoever holds it under an older number has lost it. */
  fence: number;
  begunAt: Date;
  /** When this try began. */
  claimedAt: Date;
  url: string;
  /** Wrapped: the current one first, then the one before while it is used. */
  secrets: readonly string[];
};

/** The endpoints that an event is for, by customer $1, type $2 and time $3, which has milliseconds. */
const wanting = `e.customer_id = $1 and e.deleted_at is null and date_trunc('milliseconds', e.since) <= $3::timestamptz
  and (e.types = '{}' or $2 = any (e.types))`;

/** How long a sender has for a try, with what it writes about it. */
export const deliveryLeaseMs = 60_000;

/** So many deliveries of an endpoint are under way at a time: one that answers slowly keeps no others waiting. */
export const underWayAtMost = 5;

/** How many of endpoint `e` are under way. */
const underWay = `(select count(*) from webhook_deliveries l
  where l.endpoint_id = e.id and l.state = 'waiting' and l.leased_until > now())`;

/**
 * Writes an event's deliveries, one for each endpoint of its customer that wants it, and gives each the next number of its
 * endpoint and instance in the same transaction: what an endpoint has not got shows as a gap. An event that comes again
 * changes nothing. Those that are to be sent at once are the caller's (`holds`); those of an endpoint that fails, or has
 * enough under way, are left to the tick, and those of a disabled one are kept for a replay.
 */
export async function storeDeliveries(
  database: Database,
  event: TellableEvent,
  { holds }: { holds: boolean },
): Promise<{ stored: number; held: HeldDelivery[] }> {
  const { rowCount } = await database.query(`select from webhook_endpoints e where ${wanting} limit 1`, [
    event.customerId,
    event.type,
    event.time,
  ]);
  // most customers have none, and need no transaction
  if (rowCount === 0) return { stored: 0, held: [] };
  return await database.transaction(async (transaction) => {
    const numbers = await lockSequences(transaction, event);
    const ids = await insertNumbered(transaction, event, { numbers, holds });
    return { stored: ids.length, held: holds ? await readHeld(transaction, ids) : [] };
  });
}

type Numbered = { endpoint_id: string; last: number };

/**
 * Locks the endpoints and their numbers, in the same order for all, so that two events get theirs one after the other and
 * nobody deletes an endpoint meanwhile.
 */
async function lockSequences(transaction: Queryable, event: TellableEvent): Promise<Numbered[]> {
  const { rows } = await transaction.query<Numbered>(
    `with locked as (select e.id from webhook_endpoints e where ${wanting} order by e.id for no key update)
     insert into webhook_sequences (endpoint_id, stream)
     select id, $4 from locked order by id
     on conflict (endpoint_id, stream) do update set last = webhook_sequences.last
     returning endpoint_id, last`,
    [event.customerId, event.type, event.time, streamOf(event)],
  );
  return rows;
}

async function insertNumbered(
  transaction: Queryable,
  event: TellableEvent,
  { numbers, holds }: { numbers: readonly Numbered[]; holds: boolean },
): Promise<string[]> {
  const { id, type, instanceId, time } = event;
  const data = customerView(type, event.data);
  const bodies = numbers.map(({ last }) =>
    messageBody({ type, timestamp: time, instanceId, sequence: last + 1, data }),
  );
  // a statement of its own: it sees what was committed before the lock was granted
  const { rows } = await transaction.query<{ id: string }>(
    `with stored as (
       insert into webhook_deliveries
         (id, endpoint_id, event_id, type, instance_id, stream, sequence, body, state, attempts, fence, begun_at,
         leased_until, next_attempt_at)
       select new.id, e.id, $4, $5, $6, $7, new.last + 1, new.body,
         case when e.disabled_reason is null then 'waiting' else 'held' end,
         case when how.is_held then 1 else 0 end,
         case when how.is_held then 1 else 0 end,
         case when how.is_held then now() end,
         case when how.is_held then now() + $8::integer * interval '1 ms' end,
         case when e.disabled_reason is null then now() + case when how.is_held then $8::integer else 0 end * interval '1 ms' end
       from unnest($1::uuid[], $2::uuid[], $3::text[], $9::bigint[]) as new (id, endpoint_id, body, last)
       join webhook_endpoints e on e.id = new.endpoint_id and e.deleted_at is null
       cross join lateral (
         select $10::boolean and e.disabled_reason is null and e.failing_since is null and ${underWay} < $11::integer as is_held) how
       where not exists (select from webhook_deliveries d where d.endpoint_id = e.id and d.event_id = $4)
       on conflict do nothing
       returning id, endpoint_id)
     update webhook_sequences s set last = s.last + 1 from stored
     where s.endpoint_id = stored.endpoint_id and s.stream = $7
     returning stored.id`,
    [
      numbers.map(() => newOperationId()),
      numbers.map(({ endpoint_id }) => endpoint_id),
      bodies,
      id,
      type,
      instanceId,
      streamOf(event),
      deliveryLeaseMs,
      numbers.map(({ last }) => last),
      holds,
      underWayAtMost,
    ],
  );
  return rows.map((row) => row.id);
}

function streamOf({ instanceId }: TellableEvent): string {
  return instanceId ?? '';
}

const heldColumns = `d.id, d.endpoint_id, d.event_id, d.body, d.attempts, d.fence, d.begun_at, now() as claimed_at, e.customer_id, e.url,
  array_remove(array[e.secret, case when e.previous_until > now() then e.previous_secret end], null) as secrets`;

type HeldRow = {
  id: string;
  endpoint_id: string;
  event_id: string;
  customer_id: string;
  body: string;
  attempts: number;
  fence: number;
  begun_at: Date;
  claimed_at: Date;
  url: string;
  secrets: string[];
};

async function readHeld(transaction: Queryable, ids: readonly string[]): Promise<HeldDelivery[]> {
  if (ids.length === 0) return [];
  const { rows } = await transaction.query<HeldRow>(
    `select ${heldColumns} from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
     where d.id = any ($1::uuid[]) and d.attempts > 0`,
    [ids],
  );
  return rows.map(toHeld);
}

/**
 * Takes deliveries that are due: a few of each endpoint, and one of an endpoint that fails, so that neither many events nor a
 * dead receiver keep others waiting. What is under way counts as taken; what another sender is taking is left to it.
 */
export async function takeDue(queryable: Queryable, { endpoints }: { endpoints: number }): Promise<HeldDelivery[]> {
  const { rows } = await queryable.query<HeldRow>(
    `with due_endpoints as (
       select e.id, room.places from webhook_endpoints e
       cross join lateral (
         select case when e.failing_since is null then $2::integer else 1 end - ${underWay} as places) room
       where e.deleted_at is null and e.disabled_reason is null and room.places > 0 and exists (
         select from webhook_deliveries d
         where d.endpoint_id = e.id and d.state = 'waiting' and d.next_attempt_at <= now())
       order by random() limit $1),
     due as (
       select one.id from due_endpoints e cross join lateral (
         select d.id from webhook_deliveries d
         where d.endpoint_id = e.id and d.state = 'waiting' and d.next_attempt_at <= now()
         order by d.next_attempt_at limit e.places
         for update skip locked) one)
     update webhook_deliveries d
     set attempts = d.attempts + 1, fence = d.fence + 1, begun_at = coalesce(d.begun_at, now()),
       leased_until = now() + $3::integer * interval '1 ms', next_attempt_at = now() + $3::integer * interval '1 ms'
     from due, webhook_endpoints e
     where d.id = due.id and e.id = d.endpoint_id
     returning ${heldColumns}`,
    [endpoints, underWayAtMost, deliveryLeaseMs],
  );
  return rows.map(toHeld);
}

function toHeld(row: HeldRow): HeldDelivery {
  const { id, body, url, secrets } = row;
  return {
    id,
    endpointId: row.endpoint_id,
    eventId: row.event_id,
    customerId: row.customer_id,
    body,
    attempt: row.attempts,
    fence: row.fence,
    begunAt: row.begun_at,
    claimedAt: row.claimed_at,
    url,
    secrets,
  };
}

/** How many could be sent now, counted up to `limit`. */
export async function countDue(queryable: Queryable, limit: number): Promise<number> {
  const { rows } = await queryable.query<{ count: number }>(
    `select count(*) from (
       select from webhook_endpoints e
       cross join lateral (
         select from webhook_deliveries d
         where d.endpoint_id = e.id and d.state = 'waiting' and d.next_attempt_at <= now()
         limit case when e.failing_since is null then $1::integer else 1 end) one
       where e.deleted_at is null and e.disabled_reason is null limit $1) due`,
    [limit],
  );
  return rows[0]?.count ?? 0;
}
