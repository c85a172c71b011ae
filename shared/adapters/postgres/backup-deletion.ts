import type { Backup } from '#shared/domain/backup/backup.ts';
import { type GivenUp, type RetainedBackup, retain } from '#shared/domain/backup/retention.ts';
import { appendAudit } from './audit.ts';
import { toBackup } from './backup-columns.ts';
import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** Retention looks at each instance once in so long. */
const everyHours = 24;
/** Whoever took an instance and did not decide: it is taken again so much later. */
const takenMinutes = 10;

/** Takes instances whose backups retention has not looked at for a day: nobody else gets them until it has. */
export async function takeToRetain(queryable: Queryable, limit: number): Promise<string[]> {
  const { rows } = await queryable.query<{ id: string }>(
    `update instance_keys set retain_at = clock_timestamp() + $2::integer * interval '1 minute'
     where instance_id in (select instance_id from instance_keys where retain_at <= now()
       order by retain_at limit $1 for update skip locked)
     returning instance_id as id`,
    [limit, takenMinutes],
  );
  return rows.map(({ id }) => id);
}

/** The next tick decides about the instance's backups. In the transaction that ends its purge: the certificate says so. */
export async function retainAtNextTurn(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query('update instance_keys set retain_at = clock_timestamp() where instance_id = $1', [
    instanceId,
  ]);
}

type Policy = { keep_daily: number; keep_weekly: number; keep_monthly: number; purged_at: Date | null; now: Date };

async function policyOf(transaction: Queryable, instanceId: string): Promise<Policy | undefined> {
  const { rows } = await transaction.query<Policy>(
    `select keep_daily, keep_weekly, keep_monthly, i.purged_at, clock_timestamp() as now
     from instances i join plans p on p.id = i.plan_id where i.id = $1`,
    [instanceId],
  );
  return rows[0];
}

// The lock of each row keeps a verification from beginning with it until the decision is written.
const setText = `
  select b.*, exists (select 1 from operations o where o.id = b.id and o.state in ('queued', 'running', 'waiting'))
    as is_at_work
  from backups b where b.instance_id = $1 and b.state in ('running', 'succeeded', 'failed') order by b.id for update of b`;

// Also by the load of another instance: a copy is made from it.
const inUseText = `
  select backup_id as id from verifications where instance_id = $1 and state = 'running'
  union all
  select backup_id from exports where instance_id = $1 and state = 'running'
  union all
  select l.backup_id from loads l join backups b on b.id = l.backup_id where b.instance_id = $1 and l.state = 'running'`;

/** What the decision needs of all backups of an instance, locked. */
async function lockSet(transaction: Queryable, instanceId: string): Promise<RetainedBackup[]> {
  const { rows } = await transaction.query<Row<'backups'> & { is_at_work: boolean }>(setText, [instanceId]);
  // By a statement that begins when the locks are held: it sees whoever came before.
  const used = await transaction.query<{ id: string }>(inUseText, [instanceId]);
  const inUse = new Set(used.rows.map(({ id }) => id));
  return rows.map((row) => {
    const backup = toBackup(row);
    return { ...backup, proof: backup.proof.state, isInUse: row.is_at_work || inUse.has(backup.id) };
  });
}

/**
 * Decides what of an instance's backups is given up and writes it down, in one transaction under the instance's lock: from
 * then on they cannot be restored or verified. Their objects are still there. The next look comes a day later.
 */
export async function giveUp(database: Database, instanceId: string, by: { actor: string }): Promise<GivenUp[]> {
  return await database.transaction(async (transaction) => {
    await transaction.query(`select pg_advisory_xact_lock(hashtextextended('backups of ' || $1, 0))`, [instanceId]);
    const policy = await policyOf(transaction, instanceId);
    if (policy === undefined) return [];
    const backups = await lockSet(transaction, instanceId);
    const keep = { daily: policy.keep_daily, weekly: policy.keep_weekly, monthly: policy.keep_monthly };
    const given = retain({ backups, keep, purgedAt: policy.purged_at, now: policy.now });
    for (const { id, reason } of given) {
      await transaction.query(`update backups set state = 'deleting', delete_reason = $2 where id = $1`, [id, reason]);
      const entry = { actor: by.actor, action: 'backup.given-up', instanceId, operationId: id };
      await appendAudit(transaction, { ...entry, detail: { backup: id, reason } });
    }
    await transaction.query(
      `update instance_keys set retain_at = clock_timestamp() + $2::integer * interval '1 hour' where instance_id = $1`,
      [instanceId, everyHours],
    );
    return given;
  });
}

/** Backups with an id after `after` that were given up and whose objects may still be there. */
export async function listDeleting(
  queryable: Queryable,
  page: { after: string | null; limit: number },
): Promise<Backup[]> {
  const { rows } = await queryable.query<Row<'backups'>>(
    `select * from backups where state = 'deleting' and ($1::uuid is null or id > $1) order by id limit $2`,
    [page.after, page.limit],
  );
  return rows.map(toBackup);
}

// Once in three days: it takes reading all of the instance's manifests. Of one that was purged, at once.
const collectText = `
  update instance_keys k set collect_at = case when i.purged_at is null
    then greatest(clock_timestamp(), k.collected_at + interval '3 days') else clock_timestamp() end
  from instances i where k.instance_id = $1 and i.id = k.instance_id`;

/** Its objects are gone: its key is forgotten, too, and files that only it named are to be looked for. Repeatable. */
export async function markDeleted(
  database: Database,
  backup: Pick<Backup, 'id' | 'instanceId'>,
  by: { actor: string; objects: number },
): Promise<void> {
  await database.transaction(async (transaction) => {
    const { rowCount } = await transaction.query(
      `update backups set state = 'deleted', deleted_at = clock_timestamp(), dump_key = null
       where id = $1 and state = 'deleting'`,
      [backup.id],
    );
    if (rowCount === 0) return;
    await transaction.query(collectText, [backup.instanceId]);
    const entry = { actor: by.actor, action: 'backup.deleted', instanceId: backup.instanceId, operationId: backup.id };
    await appendAudit(transaction, { ...entry, detail: { backup: backup.id, objects: by.objects } });
  });
}
