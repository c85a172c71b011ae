import type { Load, LoadRecords } from '#shared/domain/backup/load-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Database, Queryable } from './database.ts';
import { underLock } from './operation-lock.ts';
import type { Row } from './rows.ts';

function toLoad(row: Row<'loads'>): Load {
  return {
    id: row.id,
    instanceId: row.instance_id,
    serverId: row.server_id,
    round: row.round,
    jobKey: row.job_key,
    state: row.state,
    result: row.result,
  };
}

async function readLoad(queryable: Queryable, id: string): Promise<Row<'loads'> | undefined> {
  const { rows } = await queryable.query<Row<'loads'>>('select * from loads where id = $1', [id]);
  return rows[0];
}

/** Locked against retention until the load's row is there. */
async function lockBackup(transaction: Queryable, backupId: string): Promise<void> {
  const { rowCount } = await transaction.query(
    `select 1 from backups where id = $1 and state = 'succeeded' for share`,
    [backupId],
  );
  if (rowCount === 0) throw new Failure('not-found', `There is no backup ${backupId} that can be restored.`);
}

/** The server an instance is on. */
export async function serverIdOf(transaction: Queryable, instanceId: string): Promise<string> {
  const { rows } = await transaction.query<{ server: string | null }>(
    'select db_server_id as server from instances where id = $1',
    [instanceId],
  );
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  if (row.server === null) throw new Failure('not-allowed', `Instance ${instanceId} is on no database server.`);
  return row.server;
}

const beginText = `
  insert into loads as l (id, instance_id, server_id, backup_id, round, job_key, state)
  values ($1, $2, $3, $4, 1, $5, 'running')
  on conflict (id) do update set state = 'running', server_id = excluded.server_id, backup_id = excluded.backup_id,
    round = l.round + 1, job_key = excluded.job_key, started_at = clock_timestamp(), finished_at = null, result = null,
    error_code = null, error_text = null
  returning *`;

async function begin(transaction: Queryable, id: string, intent: Parameters<LoadRecords['begin']>[1]): Promise<Load> {
  const found = await readLoad(transaction, id);
  if (found !== undefined && found.state !== 'failed') return toLoad(found);
  if (intent.backupId !== null) await lockBackup(transaction, intent.backupId);
  const serverId = await serverIdOf(transaction, intent.instanceId);
  const values = [id, intent.instanceId, serverId, intent.backupId, intent.jobKey];
  const { rows } = await transaction.query<Row<'loads'>>(beginText, values);
  if (rows[0] === undefined) throw new Failure('internal', 'An upsert gave no row.');
  return toLoad(rows[0]);
}

async function another(transaction: Queryable, id: string, next: Parameters<LoadRecords['another']>[1]): Promise<Load> {
  const { rows } = await transaction.query<Row<'loads'>>(
    `update loads set round = round + 1, job_key = $3 where id = $1 and round = $2 and state = 'running' returning *`,
    [id, next.round, next.jobKey],
  );
  const row = rows[0] ?? (await readLoad(transaction, id));
  if (row?.state === 'running' && row.round === next.round + 1) return toLoad(row);
  throw new Failure('conflict', `Load ${id} is ${row?.state ?? 'gone'}: nothing follows its round ${next.round}.`);
}

async function succeed(
  transaction: Queryable,
  id: string,
  { round, result }: Parameters<LoadRecords['succeed']>[1],
): Promise<void> {
  const { rowCount } = await transaction.query(
    `update loads set state = 'loaded', finished_at = clock_timestamp(), result = $3
     where id = $1 and round = $2 and state = 'running'`,
    [id, round, JSON.stringify(result)],
  );
  if (rowCount === 1) return;
  const found = await readLoad(transaction, id);
  if (found?.state === 'loaded' && found.round === round) return;
  throw new Failure('conflict', `Round ${round} of load ${id} is not at work.`);
}

// One that was exchanged, but not its files, has its folder yet to be put in place, whatever became of its operation. Nor is
// it known of a cancelled one: a rebuild of the platform cancels what it finds at work, without having looked at the volume.
const overText = `
  select l.id, l.round from loads l join operations o on o.id = l.id left join restores r on r.id = l.id
  where l.instance_id = $2 and l.id <> $1 and o.state in ('succeeded', 'failed', 'cancelled')
    and (r.id is null or r.state = 'succeeded' or (r.state = 'failed' and r.error_code <> 'cancelled'))
  order by l.started_at desc limit 20`;

/** Records of loads in the platform's database. */
export function loadRecords(database: Database): LoadRecords {
  return {
    begin: (operation, intent) =>
      underLock(database, operation, (transaction) => begin(transaction, operation.id, intent)),
    another: (operation, next) =>
      underLock(database, operation, (transaction) => another(transaction, operation.id, next)),
    succeed: (operation, success) =>
      underLock(database, operation, (transaction) => succeed(transaction, operation.id, success)),
    async read(operationId) {
      const row = await readLoad(database, operationId);
      return row && toLoad(row);
    },
    async listOver(operationId, instanceId) {
      const { rows } = await database.query<Pick<Row<'loads'>, 'id' | 'round'>>(overText, [operationId, instanceId]);
      return rows;
    },
  };
}

/**
 * Ends an operation's load otherwise than well, in the transaction that ends the operation: a retry begins the next round.
 * One that was loaded, too: what it made is gone by then.
 */
export async function endUnfinishedLoad(transaction: Queryable, operationId: string, failure: Failure): Promise<void> {
  await transaction.query(
    `update loads set state = 'failed', finished_at = coalesce(finished_at, clock_timestamp()), error_code = $2, error_text = $3
     where id = $1 and state <> 'failed'`,
    [operationId, failure.code, oneLine(failure.message, 1_000)],
  );
}
