import type { Queryable } from './database.ts';
import { inboxKeptDays } from './inbox-retention.ts';
import type { Row } from './rows.ts';

/** Which dead events a person means. What is not stated does not limit. */
export type DeadEventFilter = {
  /** Their numbers in our records. */
  sequences?: readonly number[];
  /** CloudEvents ids. */
  ids?: readonly string[];
  type?: string | undefined;
  /** Received at that time or later. */
  since?: Date | undefined;
  states?: readonly Row<'dead_events'>['state'][];
};

/** A dead event without its body. */
export type DeadEventSummary = Omit<Row<'dead_events'>, 'body' | 'digest' | 'attributes'> & {
  body_bytes: number;
  /** The inbox may have forgotten it: a replay could do again what was done. */
  is_forgotten: boolean;
};

const summary = `sequence, source, id, type, received_by, reason_code, reason, content_type, deliveries, received_at, replayed_at,
  origin, error_code, error_data, class, state, replays, next_replay_at, last_error, is_whole, octet_length(body) as body_bytes,
  received_at <= clock_timestamp() - ${inboxKeptDays - 1} * interval '1 day' as is_forgotten`;

/** Oldest first. `isMore`: there are others beyond the limit. */
export async function findDeadEvents(
  queryable: Queryable,
  { filter, limit }: { filter: DeadEventFilter; limit: number },
): Promise<{ events: DeadEventSummary[]; isMore: boolean }> {
  const { rows } = await queryable.query<DeadEventSummary>(
    `select ${summary} from dead_events
     where ($1::bigint[] is null or sequence = any($1))
       and ($2::text[] is null or id = any($2))
       and ($3::text is null or type = $3)
       and ($4::timestamptz is null or received_at >= $4)
       and ($5::text[] is null or state = any($5))
     order by sequence limit $6`,
    [
      filter.sequences ?? null,
      filter.ids ?? null,
      filter.type ?? null,
      filter.since ?? null,
      filter.states ?? null,
      limit + 1,
    ],
  );
  return { events: rows.slice(0, limit), isMore: rows.length > limit };
}

/** All of it; undefined when there is none of that number. */
export async function readDeadEvent(queryable: Queryable, sequence: number): Promise<Row<'dead_events'> | undefined> {
  const { rows } = await queryable.query<Row<'dead_events'>>('select * from dead_events where sequence = $1', [
    sequence,
  ]);
  return rows[0];
}

/** A person has dealt with them. Returns the numbers of those that were open. */
export async function resolveByHand(queryable: Queryable, sequences: readonly number[]): Promise<number[]> {
  const { rows } = await queryable.query<{ sequence: number }>(
    `update dead_events set state = 'resolved', next_replay_at = null, replayed_at = coalesce(replayed_at, clock_timestamp())
     where sequence = any($1::bigint[]) and state <> 'resolved'
     returning sequence`,
    [sequences],
  );
  return rows.map(({ sequence }) => sequence);
}
