import type { ProofState } from '#shared/domain/backup/backup.ts';
import { refuseBackup } from '#shared/domain/backup/restorable.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { WantedInstance } from '#shared/domain/instance/admission.ts';
import type { Queryable } from './database.ts';

/** What a copy takes over from its source, and the backup it is made from. */
export type CloneSource = Omit<WantedInstance, 'instanceId' | 'name'> & { instanceId: string; backupId: string };

type SourceRow = {
  customer_id: string;
  plan_id: string;
  image_id: string;
  cluster_id: string;
  modules: string[];
  settings: WantedInstance['settings'];
  admin_login: string;
  language: string;
  desired_state: string;
  is_suspended: boolean;
  odoo_version: string;
};

const sourceText = `
  select i.customer_id, i.plan_id, i.image_id, i.cluster_id, i.modules, i.settings, i.admin_login, i.language,
    i.desired_state, m.odoo_version,
    exists (select 1 from suspensions s where s.instance_id = i.id and s.closed_at is null) as is_suspended
  from instances i join images m on m.id = i.image_id
  where i.id = $1 and ($2::text is null or i.customer_id = $2) for share of i`;

type BackupRow = { id: string; proof: ProofState; odoo_version: string | null };

const backupText = `
  select id, proof, summary ->> 'odooVersion' as odoo_version from backups
  where instance_id = $1 and state = 'succeeded' and case when $2::uuid is null then proof <> 'refuted' else id = $2 end
  order by snapshot_at desc, id desc limit 1`;

/**
 * The instance that is to be copied, and the backup that is: the one that is named, else the newest that was not found
 * damaged. An instance of another customer than the one that asks is not there.
 */
export async function findCloneSource(
  transaction: Queryable,
  wanted: { source: string; backupId: string | null; customerId: string | null },
): Promise<CloneSource | Failure> {
  const { source, backupId, customerId } = wanted;
  const { rows } = await transaction.query<SourceRow>(sourceText, [source, customerId]);
  const row = rows[0];
  if (row === undefined) return new Failure('not-found', `There is no instance ${source}.`);
  if (row.desired_state === 'terminated') {
    return new Failure('not-allowed', `Instance ${source} is terminated. Undo that first, then ask for a copy.`);
  }
  if (row.is_suspended) {
    return new Failure('not-allowed', `Instance ${source} is suspended: a copy would run in its place.`);
  }
  const backups = await transaction.query<BackupRow>(backupText, [source, backupId]);
  const backup = backups.rows[0];
  if (backup === undefined) {
    const which = backupId === null ? 'no backup that could be copied. Make one first' : `no backup ${backupId}`;
    return new Failure('not-found', `Instance ${source} has ${which}.`);
  }
  const facts = { id: backup.id, instanceId: source, state: 'succeeded', proof: backup.proof } as const;
  const refusal = refuseBackup({ ...facts, odooVersion: backup.odoo_version }, row.odoo_version);
  return (
    refusal ?? {
      instanceId: source,
      backupId: backup.id,
      customerId: row.customer_id,
      planId: row.plan_id,
      imageId: row.image_id,
      clusterId: row.cluster_id,
      modules: row.modules,
      settings: row.settings,
      adminLogin: row.admin_login,
      language: row.language,
    }
  );
}

/** Marks an instance whose row was just written as a copy, for good. */
export async function markAsClone(
  transaction: Queryable,
  instanceId: string,
  { instanceId: source, backupId }: Pick<CloneSource, 'instanceId' | 'backupId'>,
): Promise<void> {
  await transaction.query('update instances set cloned_from = $2, cloned_backup = $3 where id = $1', [
    instanceId,
    source,
    backupId,
  ]);
}

/** What a copy is made from. @throws Failure `internal` when the instance is none. */
export async function readCloneSource(
  queryable: Queryable,
  instanceId: string,
): Promise<{ instanceId: string; backupId: string }> {
  const { rows } = await queryable.query<{ source: string | null; backup: string | null }>(
    'select cloned_from as source, cloned_backup as backup from instances where id = $1',
    [instanceId],
  );
  const { source, backup } = rows[0] ?? {};
  if (!source || !backup) throw new Failure('internal', `Instance ${instanceId} is a copy of no backup.`);
  return { instanceId: source, backupId: backup };
}
