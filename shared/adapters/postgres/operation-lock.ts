import type { Database, Queryable } from './database.ts';
import { fencedOut } from './operation-records.ts';

/** Is an operation to end before its time? `requested` by a person, or `overtaken` by a later operation. */
export type CancelState = 'none' | 'requested' | 'overtaken';

/**
 * Locks the operation's row and refuses an old fence; the lock orders two holders of one lease, and an end with a cancel
 * that comes at the same time.
 */
export async function lockOperation(
  transaction: Queryable,
  operation: { id: string; fence: number },
): Promise<CancelState> {
  const { rows } = await transaction.query<{ cancel_requested: boolean; overtaken: boolean }>(
    `select cancel_requested, overtaken_by is not null as overtaken from operations
     where id = $1 and fence = $2 and state = 'running' for update`,
    [operation.id, operation.fence],
  );
  const row = rows[0];
  if (row === undefined) throw fencedOut(operation.id);
  if (row.overtaken) return 'overtaken';
  return row.cancel_requested ? 'requested' : 'none';
}

/** Runs `work` in a transaction that holds the operation's row. @throws Failure `fenced`. */
export function underLock<Result>(
  database: Database,
  operation: { id: string; fence: number },
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  return database.transaction(async (transaction) => {
    await lockOperation(transaction, operation);
    return await work(transaction);
  });
}
