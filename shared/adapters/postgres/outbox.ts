import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import type { Database, Queryable } from './database.ts';

/** An event that waits to be published. */
export type WaitingEvent = OutgoingEvent & {
  /** When the transaction wrote it. */
  time: Date;
  /** Attempts so far that failed. */
  attempts: number;
};

/** What transactions have written that are under way, where somebody wants to be told. */
const written = new WeakMap<Queryable, WaitingEvent[]>();

/** The same database; `tell` gets what a transaction has written into the outbox, once it is committed. */
export function tellOfOutbox(database: Database, tell: (events: readonly WaitingEvent[]) => void): Database {
  return {
    ...database,
    async transaction(work, options) {
      let events: WaitingEvent[] = [];
      const result = await database.transaction(async (transaction) => {
        // of this run: what is rolled back and run again is another transaction
        events = written.get(transaction) ?? [];
        written.set(transaction, events);
        return await work(transaction);
      }, options);
      if (events.length > 0) tell(events);
      return result;
    },
  };
}

/**
 * Writes events in the transaction of the change they tell of. One whose id is there already is left as it is. They keep the
 * trace of the request that writes them, whoever publishes them in the end, unless they carry another one. A command to
 * an operation goes on in the trace of the request that asked for the operation.
 */
export async function enqueue(transaction: Queryable, events: readonly OutgoingEvent[]): Promise<void> {
  if (events.length === 0) return;
  const trace = traceAttributes(currentContext());
  const { rows } = await transaction.query<OutboxRow>(
    `insert into outbox (id, type, source, subject, data, extensions)
     select event.id, type, source, subject, data, case when o.traceparent is null then extensions
       else extensions - 'tracestate' || jsonb_build_object('traceparent', o.traceparent) end
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[])
       with ordinality as event (id, type, source, subject, data, extensions, position)
     left join operations o
       on o.id = case when extensions ? 'opkind' then (extensions ->> 'operationid')::uuid end
     order by position
     on conflict (id) do nothing
     returning ${outboxColumns}`,
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
  noteWritten(transaction, rows);
}

/** For statements that write into the outbox beside other things: what they returned of `outboxColumns`. */
export function noteWritten(transaction: Queryable, rows: readonly OutboxRow[]): void {
  written.get(transaction)?.push(...rows.map(waitingOf));
}

export const outboxColumns = 'id, type, source, subject, data, extensions, created_at, attempts';

export type OutboxRow = {
  id: string;
  type: string;
  source: string;
  subject: string | null;
  data: unknown;
  extensions: Record<string, string>;
  created_at: Date;
  attempts: number;
};

function waitingOf({ created_at, subject, ...row }: OutboxRow): WaitingEvent {
  return { ...row, ...(subject === null ? {} : { subject }), time: created_at };
}

/**
 * Events to publish, all or those with these ids, oldest first; those that failed come after the others, so that one which no broker takes does not hold
 * up the rest. Inside a transaction they are the taker's until its end. Outside, two takers may get the same event: it is
 * then published twice under one id.
 */
export async function takeUnpublished(
  queryable: Queryable,
  { limit, olderThanMs = 0, ids }: { limit: number; olderThanMs?: number; ids?: readonly string[] },
): Promise<WaitingEvent[]> {
  const { rows } = await queryable.query<OutboxRow>(
    `select ${outboxColumns} from outbox
     where published_at is null and created_at <= clock_timestamp() - $2 * interval '1 millisecond'
       and ($3::uuid[] is null or id = any($3))
     order by attempts, sequence
     limit $1
     for update skip locked`,
    [limit, olderThanMs, ids ?? null],
  );
  return rows.map(waitingOf);
}

/**
 * The broker has accepted them. COMMIT does not wait for the disk: a note that is forgotten sends its event again, under the
 * same id.
 */
export async function markPublished(queryable: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await queryable.query(
    `with note as (select set_config('synchronous_commit', 'off', true))
     update outbox set published_at = clock_timestamp() from note where id = any($1::uuid[]) and published_at is null`,
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
