import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** A dead event that its taker sends again now. */
export type ClaimedEvent = {
  sequence: number;
  receivedBy: string;
  origin: string | null;
  contentType: string | null;
  attributes: Readonly<Record<string, string>>;
  body: Buffer;
  /** Replays including this one. */
  replays: number;
  /** How often it had come when it was taken: one more means that it came back meanwhile. */
  deliveries: number;
};

type ClaimedRow = Pick<
  Row<'dead_events'>,
  'sequence' | 'received_by' | 'origin' | 'content_type' | 'attributes' | 'body' | 'replays' | 'deliveries'
>;
const claimed = 'sequence, received_by, origin, content_type, attributes, body, replays, deliveries';
const fromRow = ({ received_by, content_type, ...row }: ClaimedRow): ClaimedEvent => ({
  ...row,
  receivedBy: received_by,
  contentType: content_type,
});

/** How long a taker may be silent after its last allowed replay before the event counts as given up. */
const lastReplayMs = 60_000;

/**
 * Takes transient events whose time has come, those that wait longest first, and counts the replay before it happens: a
 * taker that dies costs one replay and one wait. Two takers never get the same event.
 *
 * @param options.waitsMs the wait before each replay, so as many as there are replays; see `replayWaits`.
 */
export async function claimDueEvents(
  queryable: Queryable,
  { limit, waitsMs, youngerThanDays }: { limit: number; waitsMs: readonly number[]; youngerThanDays: number },
): Promise<ClaimedEvent[]> {
  const { rows } = await queryable.query<ClaimedRow>(
    `update dead_events
     set replays = replays + 1, replayed_at = clock_timestamp(), next_replay_at = clock_timestamp()
       + coalesce(($2::integer[])[replays + 2], ${lastReplayMs}) * interval '1 millisecond'
     where sequence in (
       select sequence from dead_events
       where next_replay_at <= clock_timestamp() and replays < cardinality($2::integer[]) and is_whole
         and received_at > clock_timestamp() - $3::integer * interval '1 day'
       order by next_replay_at limit $1 for update skip locked)
     returning ${claimed}`,
    [limit, waitsMs, youngerThanDays],
  );
  return rows.map(fromRow);
}

/** Takes these events for a person, whatever their state; the tick leaves them alone for a minute. */
export async function claimEvents(queryable: Queryable, sequences: readonly number[]): Promise<ClaimedEvent[]> {
  const { rows } = await queryable.query<ClaimedRow>(
    `update dead_events
     set replays = replays + 1, replayed_at = clock_timestamp(),
       next_replay_at = case when next_replay_at is not null
         then clock_timestamp() + ${lastReplayMs} * interval '1 millisecond' end
     where sequence = any($1::bigint[]) and is_whole
     returning ${claimed}`,
    [sequences],
  );
  return rows.map(fromRow).sort((a, b) => a.sequence - b.sequence);
}

/** What a replay came to. */
export type ReplayOutcome =
  | { state: 'resolved' | 'replayed' }
  /** Not taken. `isPermanent`: it waits for a person from now on. `isLast`: else it is given up. */
  | { state: 'failed'; reason: string; isPermanent: boolean; isLast: boolean };

/** Notes what a replay came to. An event that came back meanwhile stays as it came back. */
export async function settleReplay(queryable: Queryable, event: ClaimedEvent, outcome: ReplayOutcome): Promise<void> {
  const { sequence, deliveries } = event;
  if (outcome.state !== 'failed') {
    await queryable.query(
      `update dead_events set state = $3, next_replay_at = null, last_error = null
       where sequence = $1 and deliveries = $2`,
      [sequence, deliveries, outcome.state],
    );
    return;
  }
  await queryable.query(
    `update dead_events set last_error = $3,
       class = case when $4 then 'permanent' else class end,
       state = case when $5 and not $4 then 'given-up' else state end,
       next_replay_at = case when $4 or $5 then null else next_replay_at end
     where sequence = $1 and deliveries = $2`,
    [sequence, deliveries, outcome.reason.slice(0, 1_000), outcome.isPermanent, outcome.isLast],
  );
}

/** Gives up what is due and may not be replayed by itself any more. Returns how many. */
export async function giveUpOverdue(
  queryable: Queryable,
  { maxReplays, youngerThanDays, limit }: { maxReplays: number; youngerThanDays: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `update dead_events set state = 'given-up', next_replay_at = null, last_error = coalesce(last_error,
       case when replays >= $1 then 'no answer to the last replay was noted'
         when not is_whole then 'only the beginning of the event was kept'
         else 'too old to be replayed without a person' end)
     where sequence in (
       select sequence from dead_events
       where next_replay_at <= clock_timestamp() and (replays >= $1 or not is_whole
         or received_at <= clock_timestamp() - $2::integer * interval '1 day')
       order by next_replay_at limit $3 for update skip locked)`,
    [maxReplays, youngerThanDays, limit],
  );
  return rowCount;
}

/** A broker that took an event back and could not deliver it would have dead-lettered it again by now. */
export async function resolveQuiet(
  queryable: Queryable,
  { quietMs, limit }: { quietMs: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `update dead_events set state = 'resolved' where sequence in (
       select sequence from dead_events
       where state = 'replayed' and replayed_at < clock_timestamp() - $1 * interval '1 millisecond'
       order by replayed_at limit $2 for update skip locked)`,
    [quietMs, limit],
  );
  return rowCount;
}

/** Deletes events that were resolved longer ago than that, at most `limit` of them. Returns how many. */
export async function forgetResolved(
  queryable: Queryable,
  { olderThanDays, limit }: { olderThanDays: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from dead_events where sequence in (
       select sequence from dead_events
       where state = 'resolved' and replayed_at < clock_timestamp() - $1::integer * interval '1 day'
       order by replayed_at limit $2 for update skip locked)`,
    [olderThanDays, limit],
  );
  return rowCount;
}
