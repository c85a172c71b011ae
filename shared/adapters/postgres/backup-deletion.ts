import type { Backup } from '#shared/domain/backup/backup.ts';
import { type GivenUp, type RetainedBackup, retain } from '#shared/domain/backup/retention.ts';
import { appendAudit } from './audit.ts';
import { toBackup } from './backup-columns.ts';
import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** Instances with an id after `after` of which something is kept or left. */
export async function listBackedUp(queryable: Queryable, page: { after: string; limit: number }): Promise<string[]> {
  const { rows } = await queryable.query<{ id: string }>(
    `select distinct instance_id as id from backups
     where instance_id > $1 and state in ('succeeded', 'failed') order by id limit $2`,
    [page.after, page.limit],
  );
  return rows.map(({ id }) => id);
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

const inUseText = `select backup_id as id from verifications where instance_id = $1 and state = 'running'`;

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
 * then on they cannot be restored or verified. Their objects are still there.
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
    return given;
  });
}

/** Backups that were given up and whose objects may still be there, in any order: one that cannot be removed keeps no other waiting. */
export async function listDeleting(queryable: Queryable, limit: number): Promise<Backup[]> {
  const { rows } = await queryable.query<Row<'backups'>>(
    `select * from backups where state = 'deleting' order by random() limit $1`,
    [limit],
  );
  return rows.map(toBackup);
}

/** Its objects are gone: its key is forgotten, too. Repeatable. */
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
    const entry = { actor: by.actor, action: 'backup.deleted', instanceId: backup.instanceId, operationId: backup.id };
    await appendAudit(transaction, { ...entry, detail: { backup: backup.id, objects: by.objects } });
  });
}
