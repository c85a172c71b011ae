import type { Queryable } from './database.ts';

/** How long an event that was handled is known: within it a replay is a no-op. */
export const inboxKeptDays = 90;

/** The same for what Knative's sources tell of a cluster: after an hour it is not taken for news anyway. */
const hintsKeptDays = 1;

/**
 * Deletes inbox rows of events that were handled longer ago than that, at most `limit` of each sort, oldest first, and
 * returns how many. Rows of an operation that is not finished stay. Rows that somebody has locked are left for the next
 * time. How far streams of hints had come goes with them.
 */
export async function trimInbox(queryable: Queryable, { limit }: { limit: number }): Promise<number> {
  const hints = await trim(queryable, { which: `type like 'dev.knative.%'`, days: hintsKeptDays, limit });
  const others = await trim(queryable, { which: `type not like 'dev.knative.%'`, days: inboxKeptDays, limit });
  await trimStreams(queryable);
  return hints + others;
}

async function trim(
  queryable: Queryable,
  { which, days, limit }: { which: string; days: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from inbox where (source, id) in (
       select source, id from inbox
       where ${which} and received_at < clock_timestamp() - $1::integer * interval '1 day'
         and not exists (select from operations where operations.id = inbox.operation_id
           and operations.state in ('queued', 'running', 'waiting'))
       order by received_at limit $2 for update skip locked)`,
    [days, limit],
  );
  return rowCount;
}

/** It counts for an hour. What sources count by themselves stays. */
async function trimStreams(queryable: Queryable): Promise<void> {
  await queryable.query(
    `delete from streams
     where stream like 'Deployment %' and updated_at < clock_timestamp() - $1::integer * interval '1 day'`,
    [hintsKeptDays],
  );
}
