import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Database, Queryable } from './database.ts';

const endText = (table: 'backups' | 'verifications' | 'exports') => `
  update ${table} set state = 'failed', finished_at = clock_timestamp(), error_code = $2, error_text = $3
    ${table === 'exports' ? ', archive_key = null' : ''}
  where id = $1 and state = 'running'`;

/**
 * Gives the slot and the intent of an operation's backup, verification or export back, in the transaction that ends the
 * operation. Does nothing for one that has ended; the proof of a backup stays what it was.
 */
export async function endUnfinished(transaction: Queryable, operationId: string, failure: Failure): Promise<void> {
  const values = [operationId, failure.code, oneLine(failure.message, 1_000)];
  await transaction.query(endText('backups'), values);
  await transaction.query(endText('verifications'), values);
  await transaction.query(endText('exports'), values);
}

// With the operations locked: one that is retried meanwhile goes on with what it had.
const abandonedText = `
  select o.id from operations o
  where o.state in ('succeeded', 'failed', 'cancelled') and o.id in (
    select id from backups where state = 'running' union all select id from verifications where state = 'running'
    union all select id from exports where state = 'running')
  limit $1 for update of o skip locked`;

/**
 * Ends what operations that are over have left running, and returns how many that were. Whoever retries such an operation
 * begins again.
 */
export async function endAbandoned(database: Database, { limit }: { limit: number }): Promise<number> {
  return await database.transaction(async (transaction) => {
    const { rows } = await transaction.query<{ id: string }>(abandonedText, [limit]);
    const failure = new Failure('cancelled', 'Its operation ended without it.');
    for (const { id } of rows) await endUnfinished(transaction, id, failure);
    return rows.length;
  });
}
