import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import type { Queryable } from './database.ts';

/** An event that waits to be published. */
export type WaitingEvent = OutgoingEvent & {
  /** When the transaction wrote it. */
  time: Date;
  /** Attempts so far that failed. */
  attempts: number;
};

/**
 * Writes events in the transaction of the change they tell of. One whose id is there already is left as it is. They keep the
 * trace of the request that writes them, whoever publishes them in the end, unless they carry another one. A command to
 * an operation goes on in the trace of the request that asked for the operation.
 */
export async function enqueue(transaction: Queryable, events: readonly OutgoingEvent[]): Promise<void> {
  if (events.length === 0) return;
  const trace = traceAttributes(currentContext());
  await transaction.query(
    `insert into outbox (id, type, source, subject, data, extensions)
     select event.id, type, source, subject, data, case when o.traceparent is null then extensions
       else extensions - 'tracestate' || jsonb_build_object('traceparent', o.traceparent) end
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[])
       with ordinality as event (id, type, source, subject, data, extensions, position)
     left join operations o
       on o.id = case when extensions ? 'opkind' then (extensions ->> 'operationid')::uuid end
     order by position
     on conflict (id) do nothing`,
    [
      events.map((event) => event.id),
      events.map((event) => event.type),
      events.map((event) => event.source),
      events.map((event) => event.subject ?? null),
      events.map((event) => JSON.stringify(event.data ?? null)),
      events.map((event) =>
        JSON.stringify(
          event.extensions?.['traceparent'] === undefined ? { ...event.extensions, ...trace } : event.extensions,
        ),
      ),
    ],
  );
}

type Row = {
  id: string;
  type: string;
  source: string;
  subject: string | null;
  data: unknown;
  extensions: Record<string, string>;
  created_at: Date;
  attempts: number;
};

/**
 * Events to publish, oldest first; those that failed come after the others, so that one which no broker takes does not hold
 * up the rest. Inside a transaction they are the taker's until its end. Outside, two takers may get the same event: it is
 * then published twice under one id.
 */
export async function takeUnpublished(
  queryable: Queryable,
  { limit, olderThanMs = 0 }: { limit: number; olderThanMs?: number },
): Promise<WaitingEvent[]> {
  const { rows } = await queryable.query<Row>(
    `select id, type, source, subject, data, extensions, created_at, attempts
     from outbox
     where published_at is null and created_at <= clock_timestamp() - $2 * interval '1 millisecond'
     order by attempts, sequence
     limit $1
     for update skip locked`,
    [limit, olderThanMs],
  );
  return rows.map(({ created_at, subject, ...row }) => ({
    ...row,
    ...(subject === null ? {} : { subject }),
    time: created_at,
  }));
}

/** The broker has accepted them. */
export async function markPublished(queryable: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await queryable.query(
    'update outbox set published_at = clock_timestamp() where id = any($1::uuid[]) and published_at is null',
    [ids],
  );
}

/** The broker did not accept them; `error` says why in a line and holds nothing secret. */
export async function markFailed(
  queryable: Queryable,
  failures: readonly { id: string; error: string }[],
): Promise<void> {
  if (failures.length === 0) return;
  await queryable.query(
    `update outbox set attempts = attempts + 1, last_error = failure.error
     from unnest($1::uuid[], $2::text[]) as failure (id, error)
     where outbox.id = failure.id and published_at is null`,
    [failures.map(({ id }) => id), failures.map(({ error }) => error.slice(0, 1_000))],
  );
}

/** Deletes events that were published longer ago than that, at most `limit` of them. Returns how many. */
export async function forgetPublished(
  queryable: Queryable,
  { olderThanDays, limit }: { olderThanDays: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from outbox where sequence in (
       select sequence from outbox where published_at < clock_timestamp() - $1::integer * interval '1 day'
       order by published_at limit $2 for update skip locked)`,
    [olderThanDays, limit],
  );
  return rowCount;
}
