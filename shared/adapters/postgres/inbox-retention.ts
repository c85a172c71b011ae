import type { Queryable } from './database.ts';

/** How long an event that was handled is known: within it a replay is a no-op. */
export const inboxKeptDays = 90;

/**
 * Deletes inbox rows of events that were handled longer ago than that, at most `limit` of them, oldest first, and returns
 * how many. Rows of an operation that is not finished stay. Rows that somebody has locked are left for the next time.
 */
export async function trimInbox(
  queryable: Queryable,
  { olderThanDays = inboxKeptDays, limit }: { olderThanDays?: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from inbox where (source, id) in (
       select source, id from inbox
       where received_at < clock_timestamp() - $1::integer * interval '1 day'
         and not exists (select from operations where operations.id = inbox.operation_id
           and operations.state in ('queued', 'running', 'waiting'))
       order by received_at limit $2 for update skip locked)`,
    [olderThanDays, limit],
  );
  return rowCount;
}
