import type { Restore, RestoreRecords, RestoreSource } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Database, Queryable } from './database.ts';
import { serverIdOf } from './load-records.ts';
import { underLock } from './operation-lock.ts';
import { refuseRestore } from './restore-admission.ts';
import type { Row } from './rows.ts';

function sourceOf(row: Row<'restores'>): RestoreSource {
  if (row.undoes !== null) return { undoes: row.undoes };
  return { backup: row.backup_id ?? '' };
}

function toRestore(row: Row<'restores'>): Restore {
  return {
    id: row.id,
    instanceId: row.instance_id,
    source: sourceOf(row),
    state: row.state,
    isWhole: row.swapped_at !== null,
    round: row.round,
    jobKey: row.job_key,
    keepUntil: row.keep_until,
  };
}

async function readRestore(queryable: Queryable, id: string): Promise<Row<'restores'> | undefined> {
  const { rows } = await queryable.query<Row<'restores'>>('select * from restores where id = $1', [id]);
  return rows[0];
}

const beginText = `
  insert into restores as r (id, instance_id, server_id, backup_id, undoes, round, job_key, state)
  values ($1, $2, $3, $4, $5, 1, $6, 'running')
  on conflict (id) do update set state = 'running', server_id = excluded.server_id, round = r.round + 1,
    job_key = excluded.job_key, started_at = clock_timestamp(), finished_at = null, error_code = null, error_text = null
  returning *`;

async function begin(
  transaction: Queryable,
  id: string,
  { instanceId, source, jobKey }: Parameters<RestoreRecords['begin']>[1],
): Promise<Restore> {
  const found = await readRestore(transaction, id);
  if (found !== undefined && found.state !== 'failed') return toRestore(found);
  const refusal = await refuseRestore(transaction, { instanceId, source, by: id });
  if (refusal !== undefined) throw refusal;
  const serverId = await serverIdOf(transaction, instanceId);
  const [backup, undoes] = 'backup' in source ? [source.backup, null] : [null, source.undoes];
  const { rows } = await transaction.query<Row<'restores'>>(beginText, [
    id,
    instanceId,
    serverId,
    backup,
    undoes,
    jobKey,
  ]);
  if (rows[0] === undefined) throw new Failure('internal', 'An upsert gave no row.');
  // From here on the tick leaves that side alone.
  if (undoes !== null) await transaction.query('update restores set taken_back_by = $2 where id = $1', [undoes, id]);
  return toRestore(rows[0]);
}

async function another(transaction: Queryable, id: string, { round }: { round: number }): Promise<Restore> {
  const { rows } = await transaction.query<Row<'restores'>>(
    `update restores set round = round + 1 where id = $1 and round = $2 and state in ('running', 'switched') returning *`,
    [id, round],
  );
  const row = rows[0] ?? (await readRestore(transaction, id));
  if (row !== undefined && row.round === round + 1 && row.state !== 'failed') return toRestore(row);
  throw new Failure('conflict', `Restore ${id} is ${row?.state ?? 'gone'}: nothing follows its round ${round}.`);
}

async function switched(transaction: Queryable, id: string): Promise<void> {
  const { rowCount } = await transaction.query(
    `update restores set state = case when state = 'running' then 'switched' else state end,
       switched_at = coalesce(switched_at, clock_timestamp())
     where id = $1 and state in ('running', 'switched', 'succeeded')`,
    [id],
  );
  if (rowCount === 0) throw new Failure('conflict', `Restore ${id} is not at work.`);
}

async function swapped(transaction: Queryable, id: string): Promise<void> {
  const { rowCount } = await transaction.query(
    `update restores set swapped_at = coalesce(swapped_at, clock_timestamp())
     where id = $1 and state in ('switched', 'succeeded')`,
    [id],
  );
  if (rowCount === 0) throw new Failure('conflict', `Restore ${id} is not at work.`);
}

async function succeedRestore(transaction: Queryable, operationId: string): Promise<Restore> {
  const { rows } = await transaction.query<Row<'restores'>>(
    `update restores r set state = 'succeeded', finished_at = clock_timestamp(),
       keep_until = coalesce(keep_until, clock_timestamp() + undo_restore_hours * interval '1 hour')
     from instances i join plans p on p.id = i.plan_id
     where r.id = $1 and i.id = r.instance_id and r.state in ('switched', 'succeeded') returning r.*`,
    [operationId],
  );
  if (rows[0] === undefined) throw new Failure('internal', `Restore ${operationId} has succeeded without a switch.`);
  return toRestore(rows[0]);
}

/** Records of restores in the platform's database. */
export function restoreRecords(database: Database): RestoreRecords {
  return {
    begin: (operation, intent) =>
      underLock(database, operation, (transaction) => begin(transaction, operation.id, intent)),
    another: (operation, next) =>
      underLock(database, operation, (transaction) => another(transaction, operation.id, next)),
    switched: (operation) => underLock(database, operation, (transaction) => switched(transaction, operation.id)),
    swapped: (operation) => underLock(database, operation, (transaction) => swapped(transaction, operation.id)),
    succeed: (operation) => underLock(database, operation, (transaction) => succeedRestore(transaction, operation.id)),
    async read(operationId) {
      const row = await readRestore(database, operationId);
      return row && toRestore(row);
    },
  };
}

/**
 * In the transaction that ends the operation otherwise. One whose database was exchanged has taken place all the same: when
 * its files are exchanged too, it counts as one that succeeded, and can be undone.
 */
export async function endUnfinishedRestore(
  transaction: Queryable,
  operationId: string,
  failure: Failure,
): Promise<void> {
  const row = await readRestore(transaction, operationId);
  if (row?.state === 'switched' && row.swapped_at !== null)
    return void (await succeedRestore(transaction, operationId));
  if (row?.state !== 'running') return;
  await transaction.query(
    `update restores set state = 'failed', finished_at = clock_timestamp(), error_code = $2, error_text = $3 where id = $1`,
    [operationId, failure.code, oneLine(failure.message, 1_000)],
  );
  await transaction.query('update restores set taken_back_by = null where taken_back_by = $1', [operationId]);
}
