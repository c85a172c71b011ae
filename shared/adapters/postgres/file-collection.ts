import type { Backup } from '#shared/domain/backup/backup.ts';
import { appendAudit } from './audit.ts';
import { toBackup } from './backup-columns.ts';
import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** One whose files could not be gone through to their end is tried again so much later: it keeps no other waiting. */
const againMinutes = 10;

/**
 * Instances whose files may hold some that no backup names: one was deleted since they were last gone through. Those that
 * have waited longest come first.
 */
export async function listToCollect(queryable: Queryable, limit: number): Promise<string[]> {
  const { rows } = await queryable.query<{ id: string }>(
    `select k.instance_id as id from instance_keys k
     where k.collect_at <= now() and (k.collecting_until is null or k.collecting_until < clock_timestamp())
       and not exists (select 1 from backups b where b.instance_id = k.instance_id and b.state = 'running')
     order by k.collect_at limit $1`,
    [limit],
  );
  return rows.map(({ id }) => id);
}

export type Collection = { instanceId: string; collector: string; begunAt: Date; kept: readonly Backup[] };

/**
 * Takes the right to remove files of an instance for `leaseMs`: no backup of it begins meanwhile. Undefined while one runs,
 * or somebody else has it. With all backups whose files have to stay.
 */
export async function beginCollection(
  database: Database,
  wanted: { instanceId: string; collector: string; leaseMs: number },
): Promise<Collection | undefined> {
  const { instanceId, collector } = wanted;
  return await database.transaction(async (transaction) => {
    // A backup takes this lock before it writes its intent.
    const { rows: locked } = await transaction.query<{ is_free: boolean }>(
      `select coalesce(collecting_until < clock_timestamp(), true) as is_free from instance_keys
       where instance_id = $1 for update`,
      [instanceId],
    );
    if (locked[0]?.is_free !== true) return undefined;
    const { rows } = await transaction.query<Row<'backups'>>(
      `select * from backups where instance_id = $1 and state in ('running', 'succeeded')`,
      [instanceId],
    );
    if (rows.some(({ state }) => state === 'running')) return undefined;
    const taken = await transaction.query<{ now: Date }>(
      `update instance_keys set collected_by = $2,
         collecting_until = clock_timestamp() + $3::integer * interval '1 millisecond' where instance_id = $1
       returning clock_timestamp() as now`,
      [instanceId, collector, wanted.leaseMs],
    );
    return { instanceId, collector, begunAt: taken.rows[0]?.now ?? new Date(0), kept: rows.map(toBackup) };
  });
}

/** Makes the right last longer, as long as it is not over; false when it is lost: nothing more may be removed then. */
export async function renewCollection(
  queryable: Queryable,
  { instanceId, collector, leaseMs }: Pick<Collection, 'instanceId' | 'collector'> & { leaseMs: number },
): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `update instance_keys set collecting_until = clock_timestamp() + $3::integer * interval '1 millisecond'
     where instance_id = $1 and collected_by = $2 and collecting_until > clock_timestamp()`,
    [instanceId, collector, leaseMs],
  );
  return rowCount > 0;
}

// What was deleted meanwhile has its turn in three days, as after every other time.
const endText = `
  update instance_keys set collected_by = null, collecting_until = null,
    collected_at = case when $3 then clock_timestamp() else collected_at end,
    collect_at = case when not $3 then clock_timestamp() + $5::integer * interval '1 minute'
      when collect_at > $4 then clock_timestamp() + interval '3 days' end
  where instance_id = $1 and collected_by = $2`;

/**
 * Gives the right back. `removed`: all files were gone through, and so many were no longer needed; undefined: it did not
 * come to its end. The key of an instance that was purged is forgotten with its last backup.
 */
export async function endCollection(
  database: Database,
  { instanceId, collector, begunAt }: Pick<Collection, 'instanceId' | 'collector' | 'begunAt'>,
  end: { removed: number | undefined; left: number; actor: string },
): Promise<void> {
  await database.transaction(async (transaction) => {
    const values = [instanceId, collector, end.removed !== undefined, begunAt, againMinutes];
    const { rowCount } = await transaction.query(endText, values);
    if (rowCount === 0 || end.removed === undefined) return;
    if (end.removed > 0) {
      const detail = { removed: end.removed, left: end.left };
      await appendAudit(transaction, { actor: end.actor, action: 'backup-files.collected', instanceId, detail });
    }
    if (end.left > 0) return;
    await transaction.query(
      `delete from instance_keys k using instances i
       where k.instance_id = $1 and i.id = k.instance_id and i.purged_at is not null
         and not exists (select 1 from backups b where b.instance_id = i.id and b.state <> 'deleted')`,
      [instanceId],
    );
  });
}
