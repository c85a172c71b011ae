import type { BegunExport, Downloads, Export, ExportRecords } from '#shared/domain/backup/export.ts';
import { Failure } from '#shared/domain/failure.ts';
import { appendAudit } from './audit.ts';
import { toBackup } from './backup-columns.ts';
import type { Database, Queryable } from './database.ts';
import { underLock } from './operation-lock.ts';
import type { Row } from './rows.ts';

/** The export of a whole row. */
export function toExport(row: Row<'exports'>): Export {
  return {
    id: row.id,
    instanceId: row.instance_id,
    backupId: row.backup_id,
    state: row.state,
    round: row.round,
    archiveKey: row.archive_key,
    startedAt: row.started_at,
    archive:
      row.object_key === null
        ? null
        : { key: row.object_key, bytes: row.bytes ?? 0, sha256: row.sha256 ?? '', files: row.files ?? 0 },
    expiresAt: row.expires_at,
    downloads: row.downloads,
  };
}

async function readRow(queryable: Queryable, id: string): Promise<Row<'exports'> | undefined> {
  const { rows } = await queryable.query<Row<'exports'>>('select * from exports where id = $1', [id]);
  return rows[0];
}

// Locked against retention until the export's row is there.
const backupText = `
  select * from backups where instance_id = $1 and state = 'succeeded' and proof <> 'refuted' and id = coalesce($2,
    (select id from backups where instance_id = $1 and state = 'succeeded' and proof <> 'refuted'
     order by snapshot_at desc, id desc limit 1))
  for share`;

async function lockBackup(transaction: Queryable, instanceId: string, backupId: string | null): Promise<string> {
  const { rows } = await transaction.query<{ id: string }>(backupText, [instanceId, backupId]);
  const row = rows[0];
  if (row !== undefined) return row.id;
  throw noBackup({ instanceId, backupId });
}

function noBackup({ instanceId, backupId }: { instanceId: string; backupId: string | null }): Failure {
  const which = backupId === null ? 'no backup yet' : `no backup ${backupId} that can be restored`;
  return new Failure('not-found', `Instance ${instanceId} has ${which}.`);
}

/** As `begin` does it later: why an export cannot be made, asked before the request is accepted. */
export async function refuseExport(
  transaction: Queryable,
  wanted: { instanceId: string; backupId: string | null },
): Promise<Failure | undefined> {
  const { rowCount } = await transaction.query(
    `select 1 from backups where instance_id = $1 and state = 'succeeded' and proof <> 'refuted'
       and id = coalesce($2, id) limit 1`,
    [wanted.instanceId, wanted.backupId],
  );
  return rowCount > 0 ? undefined : noBackup(wanted);
}

async function begun(transaction: Queryable, row: Row<'exports'>): Promise<BegunExport> {
  const { rows } = await transaction.query<Row<'backups'>>('select * from backups where id = $1', [row.backup_id]);
  const backup = rows[0];
  if (backup === undefined) throw new Failure('internal', `The backup of export ${row.id} is gone.`);
  return { export: toExport(row), backup: toBackup(backup) };
}

const beginText = `
  insert into exports as e (id, backup_id, instance_id, round, archive_key, state) values ($1, $2, $3, 1, $4, 'running')
  on conflict (id) do update set state = 'running', round = e.round + 1, archive_key = excluded.archive_key,
    started_at = clock_timestamp(), finished_at = null, error_code = null, error_text = null
  returning *`;

type Wanted = Parameters<ExportRecords['begin']>[1];

async function begin(transaction: Queryable, operationId: string, wanted: Wanted): Promise<BegunExport> {
  const found = await readRow(transaction, operationId);
  if (found?.state === 'running' || found?.state === 'ready') return await begun(transaction, found);
  if (found !== undefined && found.state !== 'failed') {
    throw new Failure('not-found', `Export ${operationId} was deleted. Ask for another one.`);
  }
  const backupId = await lockBackup(transaction, wanted.instanceId, found?.backup_id ?? wanted.backupId);
  const values = [operationId, backupId, wanted.instanceId, wanted.archiveKey];
  const { rows } = await transaction.query<Row<'exports'>>(beginText, values);
  const row = rows[0];
  if (row === undefined) throw new Failure('internal', 'An upsert gave no row.');
  return await begun(transaction, row);
}

type Next = Parameters<ExportRecords['another']>[1];

async function another(transaction: Queryable, operationId: string, next: Next): Promise<BegunExport> {
  const { rows } = await transaction.query<Row<'exports'>>(
    `update exports set round = round + 1, archive_key = $3
     where id = $1 and round = $2 and state = 'running' returning *`,
    [operationId, next.round, next.archiveKey],
  );
  const row = rows[0] ?? (await readRow(transaction, operationId));
  if (row?.state === 'running' && row.round === next.round + 1) return await begun(transaction, row);
  const text = `Export ${operationId} is ${row?.state ?? 'gone'} in round ${row?.round ?? 0}: nothing follows round ${next.round}.`;
  throw new Failure('conflict', text);
}

type End = Parameters<ExportRecords['finish']>[1];

async function finish(transaction: Queryable, operationId: string, end: End): Promise<Export> {
  const { key, bytes, sha256, files } = end.archive;
  const { rows } = await transaction.query<Row<'exports'>>(
    `update exports set state = 'ready', finished_at = clock_timestamp(), object_key = $3, bytes = $4, sha256 = $5,
       files = $6, expires_at = clock_timestamp() + $7::integer * interval '1 second'
     where id = $1 and round = $2 and state = 'running' returning *`,
    [operationId, end.round, key, bytes, sha256, files, end.validSeconds],
  );
  const row = rows[0] ?? (await readRow(transaction, operationId));
  if (row?.state === 'ready' && row.round === end.round) return toExport(row);
  throw new Failure('conflict', `Round ${end.round} of export ${operationId} is not at work.`);
}

/** Records of exports in the platform's database. */
export function exportRecords(database: Database): ExportRecords {
  return {
    begin: (operation, wanted) =>
      underLock(database, operation, (transaction) => begin(transaction, operation.id, wanted)),
    another: (operation, next) =>
      underLock(database, operation, (transaction) => another(transaction, operation.id, next)),
    finish: (operation, end) => underLock(database, operation, (transaction) => finish(transaction, operation.id, end)),
    async read(operationId) {
      const row = await readRow(database, operationId);
      return row === undefined ? undefined : toExport(row);
    },
  };
}

/** The customers' way to what is ready. */
export function downloads(database: Database): Downloads {
  return {
    async find(exportId) {
      const { rows } = await database.query<Row<'exports'> & { name: string }>(
        `select e.*, i.name from exports e join instances i on i.id = e.instance_id
         where e.id = $1 and e.state = 'ready' and e.expires_at > clock_timestamp() and i.purged_at is null`,
        [exportId],
      );
      const row = rows[0];
      return row === undefined ? undefined : { export: toExport(row), instanceName: row.name };
    },
    async note(exportId) {
      await database.transaction(async (transaction) => {
        const { rows } = await transaction.query<{ instance_id: string }>(
          `update exports set downloads = downloads + 1, downloaded_at = clock_timestamp() where id = $1
           returning instance_id`,
          [exportId],
        );
        const instanceId = rows[0]?.instance_id;
        if (instanceId === undefined) return;
        const entry = { actor: 'download', action: 'export.downloaded', instanceId, operationId: exportId };
        await appendAudit(transaction, { ...entry, detail: { export: exportId } });
      });
    },
  };
}
