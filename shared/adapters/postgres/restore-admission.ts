import { refuseBackup } from '#shared/domain/backup/restorable.ts';
import type { RestoreSource } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

type Request = {
  instanceId: string;
  source: RestoreSource;
  /** The operation that asks, when it is there already. */
  by?: string;
};

/**
 * Why an instance cannot be restored from the source, asked before the request is accepted, and again when it begins. What
 * is another instance's is not there: whose backups there are is nobody else's business.
 */
export async function refuseRestore(transaction: Queryable, request: Request): Promise<Failure | undefined> {
  const { source, instanceId } = request;
  if ('undoes' in source) return await refuseOldSide(transaction, { ...request, undoes: source.undoes });
  const backups = await transaction.query<Row<'backups'> & { image_version: string }>(
    `select b.*, m.odoo_version as image_version from backups b
       join instances i on i.id = b.instance_id join images m on m.id = i.image_id
     where b.id = $1 and b.instance_id = $2 for share of b`,
    [source.backup, instanceId],
  );
  const row = backups.rows[0];
  if (row === undefined) return notThere(instanceId, source.backup);
  const { state, proof, summary } = row;
  const odooVersion = typeof summary['odooVersion'] === 'string' ? summary['odooVersion'] : null;
  return refuseBackup({ id: row.id, state, proof, odooVersion, instanceId }, row.image_version);
}

function notThere(instanceId: string, backup: string): Failure {
  return new Failure('not-found', `Instance ${instanceId} has no backup ${backup} that can be restored.`);
}

/** The row is locked: whoever removes the side waits, or has begun already. */
async function refuseOldSide(
  transaction: Queryable,
  { instanceId, undoes, by }: Request & { undoes: string },
): Promise<Failure | undefined> {
  const { rows } = await transaction.query<Row<'restores'>>(
    'select * from restores where id = $1 and instance_id = $2 for update',
    [undoes, instanceId],
  );
  const row = rows[0];
  if (row === undefined) return new Failure('not-found', `Instance ${instanceId} has no restore ${undoes}.`);
  if (row.state !== 'succeeded') {
    return new Failure('not-allowed', `Restore ${undoes} has not succeeded: there is nothing to undo.`);
  }
  if (row.dropping_at !== null) {
    return new Failure('not-found', `What restore ${undoes} took out was kept for its time and is removed now.`);
  }
  if (row.taken_back_by === null || row.taken_back_by === by) return undefined;
  return new Failure('not-allowed', `Restore ${undoes} was undone already, by ${row.taken_back_by}: undo that one.`);
}
