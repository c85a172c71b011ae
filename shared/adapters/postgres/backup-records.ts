import type { Backup } from '#shared/domain/backup/backup.ts';
import type { BackupRecords, BackupSuccess, BegunBackup } from '#shared/domain/backup/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { toBackup } from './backup-columns.ts';
import { hasFreeSlot, noFreeSlot } from './backup-slots.ts';
import type { Database, Queryable } from './database.ts';
import { underLock } from './operation-lock.ts';
import { fencedOut } from './operation-records.ts';
import type { Row } from './rows.ts';

type BackupRow = Row<'backups'>;
type Intent = Parameters<BackupRecords['begin']>[1];

async function readBackup(queryable: Queryable, id: string, lock = ''): Promise<BackupRow | undefined> {
  const { rows } = await queryable.query<BackupRow>(`select * from backups where id = $1 ${lock}`, [id]);
  return rows[0];
}

/** Stores the files' key of an instance where it has none, and keeps whoever removes files out until the transaction ends. */
async function lockFilesKey(transaction: Queryable, intent: Intent): Promise<void> {
  await transaction.query(
    'insert into instance_keys (instance_id, files_key) values ($1, $2) on conflict (instance_id) do nothing',
    [intent.instanceId, intent.filesKey],
  );
  const { rows } = await transaction.query<{ is_collected: boolean }>(
    `select coalesce(collecting_until > clock_timestamp(), false) as is_collected
     from instance_keys where instance_id = $1 for update`,
    [intent.instanceId],
  );
  if (rows[0]?.is_collected === true) {
    const text = `Files of instance ${intent.instanceId} that no backup names are being removed. The operation goes on by itself.`;
    throw new Failure('no-capacity', text);
  }
}

async function readFilesKey(queryable: Queryable, instanceId: string): Promise<string | undefined> {
  const text = 'select files_key from instance_keys where instance_id = $1';
  return (await queryable.query<{ files_key: string }>(text, [instanceId])).rows[0]?.files_key;
}

/** Where the backup is taken from, and whose it is. */
async function placeOf(transaction: Queryable, instanceId: string): Promise<{ serverId: string; customerId: string }> {
  const { rows } = await transaction.query<{ server: string | null; customer: string; is_purged: boolean }>(
    `select db_server_id as server, customer_id as customer, purged_at is not null as is_purged
     from instances where id = $1`,
    [instanceId],
  );
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  if (row.server === null || row.is_purged) {
    throw new Failure('not-allowed', `Instance ${instanceId} is on no database server: there is nothing to back up.`);
  }
  return { serverId: row.server, customerId: row.customer };
}

// A round that failed is over: the next one has a key of its own.
const beginText = `
  insert into backups as b (id, instance_id, customer_id, kind, state, round, server_id, dump_key, previous_id)
  values ($1, $2, $3, $4, 'running', 1, $5, $6,
    (select id from backups where instance_id = $2 and state = 'succeeded' order by snapshot_at desc limit 1))
  on conflict (id) do update set state = 'running', round = b.round + 1, server_id = excluded.server_id,
    dump_key = excluded.dump_key, started_at = clock_timestamp(), finished_at = null, error_code = null,
    error_text = null, previous_id = excluded.previous_id
  where b.state = 'failed' and b.instance_id = excluded.instance_id
  returning *`;

async function begin(transaction: Queryable, operationId: string, intent: Intent): Promise<BegunBackup> {
  const found = await readBackup(transaction, operationId, 'for update');
  if (found?.state === 'running') return await begun(transaction, found);
  const place = await placeOf(transaction, intent.instanceId);
  await lockFilesKey(transaction, intent);
  if (!(await hasFreeSlot(transaction, place.serverId, operationId))) {
    throw noFreeSlot(`All backup slots of database server ${place.serverId} are taken.`);
  }
  const values = [operationId, intent.instanceId, place.customerId, intent.kind, place.serverId, intent.dumpKey];
  const { rows } = await transaction.query<BackupRow>(beginText, values);
  const row = rows[0];
  if (row === undefined) {
    throw new Failure('conflict', `Backup ${operationId} is ${found?.state ?? 'gone'}: it cannot begin.`);
  }
  return await begun(transaction, row);
}

async function begun(transaction: Queryable, row: BackupRow): Promise<BegunBackup> {
  const filesKey = await readFilesKey(transaction, row.instance_id);
  if (filesKey === undefined || row.dump_key === null) {
    throw new Failure('internal', `Backup ${row.id} runs without its keys.`);
  }
  return { backup: toBackup(row), dumpKey: row.dump_key, filesKey };
}

async function another(
  transaction: Queryable,
  operationId: string,
  next: { round: number; dumpKey: string },
): Promise<BegunBackup> {
  const { rows } = await transaction.query<BackupRow>(
    `update backups set round = round + 1, dump_key = $3 where id = $1 and round = $2 and state = 'running' returning *`,
    [operationId, next.round, next.dumpKey],
  );
  const row = rows[0] ?? (await readBackup(transaction, operationId));
  if (row?.state !== 'running' || row.round !== next.round + 1) {
    const text = `Backup ${operationId} is ${row?.state ?? 'gone'} in round ${row?.round ?? 0}: nothing follows round ${next.round}.`;
    throw new Failure('conflict', text);
  }
  return await begun(transaction, row);
}

const succeedText = `
  update backups set state = 'succeeded', finished_at = clock_timestamp(), snapshot_at = $3, manifest_key = $4,
    manifest_sha256 = $5, summary = $6, dump_bytes = $7, files_bytes = $8, files_count = $9, uploaded_bytes = $10,
    locked_until = $11
  where id = $1 and round = $2 and state = 'running'
  returning *`;

async function succeed(transaction: Queryable, operationId: string, success: BackupSuccess): Promise<Backup> {
  const { manifest, sizes } = success;
  const { rows } = await transaction.query<BackupRow>(succeedText, [
    operationId,
    success.round,
    success.snapshotAt,
    manifest.key,
    manifest.sha256,
    JSON.stringify(success.summary),
    sizes.dumpBytes,
    sizes.filesBytes,
    sizes.filesCount,
    sizes.uploadedBytes,
    success.lockedUntil,
  ]);
  const row = rows[0] ?? (await readBackup(transaction, operationId));
  const isThis = row?.state === 'succeeded' && row.round === success.round && row.manifest_sha256 === manifest.sha256;
  if (row === undefined || !isThis) {
    const text = `Round ${success.round} of backup ${operationId} is not at work (${row?.state ?? 'no such backup'}): its manifest is not accepted.`;
    throw new Failure('conflict', text);
  }
  return toBackup(row);
}

function noSuchBackup({ instanceId, backupId }: { instanceId: string; backupId: string }): Failure {
  return new Failure('not-found', `Instance ${instanceId} has no backup ${backupId}.`);
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A backup of this instance; of anything else, Failure `not-found`. */
async function find(queryable: Queryable, wanted: { instanceId: string; backupId: string }): Promise<Backup> {
  if (!uuid.test(wanted.backupId)) throw noSuchBackup(wanted);
  const row = await readBackup(queryable, wanted.backupId);
  if (row === undefined || row.instance_id !== wanted.instanceId) throw noSuchBackup(wanted);
  return toBackup(row);
}

async function newest(queryable: Queryable, instanceId: string, condition = ''): Promise<Backup | undefined> {
  const { rows } = await queryable.query<BackupRow>(
    `select * from backups where instance_id = $1 and state = 'succeeded' ${condition}
     order by snapshot_at desc, id desc limit 1`,
    [instanceId],
  );
  return rows.map(toBackup)[0];
}

async function noteProgress(queryable: Queryable, operation: { id: string; fence: number }, progress: unknown) {
  const { rowCount } = await queryable.query(
    `update operations set progress = $3 where id = $1 and fence = $2 and state = 'running'`,
    [operation.id, operation.fence, JSON.stringify(progress)],
  );
  if (rowCount === 0) throw fencedOut(operation.id);
}

/** Records of backups in the platform's database. */
export function backupRecords(database: Database): BackupRecords {
  return {
    begin: (operation, intent) =>
      underLock(database, operation, (transaction) => begin(transaction, operation.id, intent)),
    succeed: (operation, success) =>
      underLock(database, operation, (transaction) => succeed(transaction, operation.id, success)),
    another: (operation, next) =>
      underLock(database, operation, (transaction) => another(transaction, operation.id, next)),
    progress: (operation, progress) => noteProgress(database, operation, progress),
    async read(backupId) {
      const row = await readBackup(database, backupId);
      return row === undefined ? undefined : toBackup(row);
    },
    find: (wanted) => find(database, wanted),
    async list({ instanceId, limit = 100, withDeleted = false }) {
      const { rows } = await database.query<BackupRow>(
        `select * from backups where instance_id = $1 and ($3 or state <> 'deleted')
         order by started_at desc, id desc limit $2`,
        [instanceId, limit, withDeleted],
      );
      return rows.map(toBackup);
    },
    newest: (instanceId) => newest(database, instanceId),
    newestProven: (instanceId) => newest(database, instanceId, "and proof = 'proven'"),
    filesKey: (instanceId) => readFilesKey(database, instanceId),
  };
}
