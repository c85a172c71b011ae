import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import type { BegunVerification, VerificationRecords } from '#shared/domain/backup/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { toBackup, toVerification } from './backup-columns.ts';
import { hasFreeSlot, noFreeSlot } from './backup-slots.ts';
import type { Database, Queryable } from './database.ts';
import { type DatabaseServerRow, toDatabaseServer } from './database-servers.ts';
import { underLock } from './operation-lock.ts';
import type { Row } from './rows.ts';

type Wanted = Parameters<VerificationRecords['begin']>[1];

async function readVerification(queryable: Queryable, id: string): Promise<Row<'verifications'> | undefined> {
  const { rows } = await queryable.query<Row<'verifications'>>('select * from verifications where id = $1', [id]);
  return rows[0];
}

// Locked against retention until the verification's row is there: what is being deleted is not begun with.
const backupText = `
  select * from backups where instance_id = $1 and state = 'succeeded' and id = coalesce($2,
    (select id from backups where instance_id = $1 and state = 'succeeded' order by snapshot_at desc, id desc limit 1))
  for share`;

async function lockBackup(transaction: Queryable, instanceId: string, backupId: string | null): Promise<Backup> {
  const { rows } = await transaction.query<Row<'backups'>>(backupText, [instanceId, backupId]);
  const row = rows[0];
  if (row !== undefined) return toBackup(row);
  const text =
    backupId === null
      ? `Instance ${instanceId} has no backup yet.`
      : `Instance ${instanceId} has no backup ${backupId} that can be restored.`;
  throw new Failure('not-found', text);
}

/** Of servers for verifications that were reached, one with a free slot; it stays locked. */
async function takeServer(transaction: Queryable, operationId: string): Promise<string> {
  const { rows } = await transaction.query<{ id: string }>(
    `select id from db_servers where purpose = 'verification' and status = 'active' and reached_at is not null
     order by priority, id`,
  );
  for (const { id } of rows) {
    if (await hasFreeSlot(transaction, id, operationId)) return id;
  }
  throw noFreeSlot(
    rows.length === 0
      ? `No active database server with purpose 'verification' was reached: backups cannot be verified. Add one to db_servers.`
      : `All slots of the ${rows.length} servers for verifications are taken.`,
  );
}

async function begun(transaction: Queryable, row: Row<'verifications'>): Promise<BegunVerification> {
  const backups = await transaction.query<Row<'backups'>>('select * from backups where id = $1', [row.backup_id]);
  const servers = await transaction.query<DatabaseServerRow>('select * from db_servers where id = $1', [row.server_id]);
  const keys = await transaction.query<{ files_key: string }>(
    'select files_key from instance_keys where instance_id = $1',
    [row.instance_id],
  );
  const [backup, server, key] = [backups.rows[0], servers.rows[0], keys.rows[0]];
  if (backup === undefined || server === undefined || key === undefined) {
    throw new Failure('internal', `The backup, server or key of verification ${row.id} is gone.`);
  }
  const found: DatabaseServer = toDatabaseServer(server);
  return { verification: toVerification(row), backup: toBackup(backup), server: found, filesKey: key.files_key };
}

const beginText = `
  insert into verifications as v (id, backup_id, instance_id, server_id, round, state)
  values ($1, $2, $3, $4, 1, 'running')
  on conflict (id) do update set state = 'running', server_id = excluded.server_id, round = v.round + 1,
    started_at = clock_timestamp(), finished_at = null, differences = '[]', error_code = null, error_text = null,
    boot = null, boot_text = null
  returning *`;

async function begin(transaction: Queryable, operationId: string, wanted: Wanted): Promise<BegunVerification> {
  const found = await readVerification(transaction, operationId);
  const isProven = found?.state === 'proven' && found.boot !== 'failed';
  if (found?.state === 'running' || isProven) return await begun(transaction, found);
  const backup = await lockBackup(transaction, wanted.instanceId, found?.backup_id ?? wanted.backupId);
  const serverId = await takeServer(transaction, operationId);
  const values = [operationId, backup.id, wanted.instanceId, serverId];
  const { rows } = await transaction.query<Row<'verifications'>>(beginText, values);
  const row = rows[0];
  if (row === undefined) throw new Failure('internal', 'An upsert gave no row.');
  return await begun(transaction, row);
}

async function another(
  transaction: Queryable,
  operationId: string,
  next: { round: number },
): Promise<BegunVerification> {
  const { rows } = await transaction.query<Row<'verifications'>>(
    `update verifications set round = round + 1, boot = null, boot_text = null where id = $1 and round = $2 and state = 'running' returning *`,
    [operationId, next.round],
  );
  const row = rows[0] ?? (await readVerification(transaction, operationId));
  if (row?.state !== 'running' || row.round !== next.round + 1) {
    const text = `Verification ${operationId} is ${row?.state ?? 'gone'} in round ${row?.round ?? 0}: nothing follows round ${next.round}.`;
    throw new Failure('conflict', text);
  }
  return await begun(transaction, row);
}

type End = Parameters<VerificationRecords['finish']>[1];

async function finish(transaction: Queryable, operationId: string, end: End): Promise<Verification> {
  const state = end.differences.length === 0 ? 'proven' : 'refuted';
  const differences = end.differences.map((one) => oneLine(one, 500));
  const { rows } = await transaction.query<Row<'verifications'>>(
    `update verifications set state = $3, finished_at = clock_timestamp(), odoo_booted = $4, differences = $5
     where id = $1 and round = $2 and state = 'running' returning *`,
    [operationId, end.round, state, end.odooBooted, JSON.stringify(differences)],
  );
  const row = rows[0];
  if (row === undefined) {
    const found = await readVerification(transaction, operationId);
    if (found?.round === end.round && found.state === state) return toVerification(found);
    throw notAtWork(operationId, end.round);
  }
  const hasFailed = row.boot === 'failed';
  const told = differences.join('; ') || (hasFailed ? `Odoo did not run on it: ${row.boot_text ?? ''}` : '');
  await transaction.query(
    `update backups set proof = $2, proof_at = clock_timestamp(), proof_by = $3, proof_text = $4,
       odoo_booted = $5 or ($2 = 'proven' and odoo_booted and $6)
     where id = $1 and state in ('succeeded', 'deleting')`,
    [row.backup_id, state, operationId, oneLine(told, 1_000) || null, end.odooBooted, !hasFailed],
  );
  return toVerification(row);
}

function notAtWork(operationId: string, round: number): Failure {
  return new Failure('conflict', `Round ${round} of verification ${operationId} is not at work.`);
}

/** Records of verifications in the platform's database. */
export function verificationRecords(database: Database): VerificationRecords {
  return {
    begin: (operation, wanted) =>
      underLock(database, operation, (transaction) => begin(transaction, operation.id, wanted)),
    finish: (operation, end) => underLock(database, operation, (transaction) => finish(transaction, operation.id, end)),
    another: (operation, next) =>
      underLock(database, operation, (transaction) => another(transaction, operation.id, next)),
    noteBoot: (operation, { round, boot, text }) =>
      underLock(database, operation, async (transaction) => {
        const { rowCount } = await transaction.query(
          `update verifications set boot = $3, boot_text = $4 where id = $1 and round = $2 and state = 'running'`,
          [operation.id, round, boot, text === undefined ? null : oneLine(text, 500)],
        );
        if (rowCount === 0) throw notAtWork(operation.id, round);
      }),
    async read(operationId) {
      const row = await readVerification(database, operationId);
      return row === undefined ? undefined : toVerification(row);
    },
  };
}
