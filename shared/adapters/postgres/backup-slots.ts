import { Failure } from '#shared/domain/failure.ts';
import type { Queryable } from './database.ts';

// Counted under the lock of the server's row: two that ask at once come one after the other. Keys of other tables that
// refer to the row are not kept waiting.
const lockText = 'select backup_slots from db_servers where id = $1 for no key update';

const usedText = `
  select (select count(*) from backups where server_id = $1 and state = 'running' and id <> $2)::integer
    + (select count(*) from verifications where server_id = $1 and state = 'running' and id <> $2)::integer as used`;

/**
 * Is there room on the server for this operation's Job beside those at work? The server stays locked until the end of
 * the transaction, in which the caller writes the row that counts.
 */
export async function hasFreeSlot(transaction: Queryable, serverId: string, operationId: string): Promise<boolean> {
  const locked = await transaction.query<{ backup_slots: number }>(lockText, [serverId]);
  const { rows } = await transaction.query<{ used: number }>(usedText, [serverId, operationId]);
  return (rows[0]?.used ?? 0) < (locked.rows[0]?.backup_slots ?? 0);
}

/** The answer when there is none. */
export function noFreeSlot(what: string): Failure {
  return new Failure(
    'no-capacity',
    `${what} Raise backup_slots in db_servers for more; the operation goes on by itself.`,
  );
}
