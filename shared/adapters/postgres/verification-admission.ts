import { Failure } from '#shared/domain/failure.ts';
import type { Queryable } from './database.ts';

/**
 * Why a backup cannot be verified, asked before the request is accepted. One that is another instance's is not there: whose
 * backups there are is nobody else's business. `backupId` null: the newest.
 */
export async function refuseVerification(
  transaction: Queryable,
  { instanceId, backupId }: { instanceId: string; backupId: string | null },
): Promise<Failure | undefined> {
  const { rowCount } = await transaction.query(
    `select 1 from backups where instance_id = $1 and state = 'succeeded' and id = coalesce($2, id) limit 1`,
    [instanceId, backupId],
  );
  if (rowCount > 0) return undefined;
  const which = backupId === null ? 'no backup yet' : `no backup ${backupId} that can be restored`;
  return new Failure('not-found', `Instance ${instanceId} has ${which}.`);
}
