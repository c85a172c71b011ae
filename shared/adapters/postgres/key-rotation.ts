import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { Database } from './database.ts';
import { needsJobKey } from './job-key-needs.ts';

/** What of the records still needs keys of the ring. */
export const recordedUses = ['instances', 'backups', 'exports', 'operations', 'certificates'] as const;

/** How much of the records still needs one key of the key ring. */
export type KeyUse = {
  keyId: string;
  /** Instances whose files are encrypted with a key that it wraps. `keys rewrap` brings it to 0. */
  instances: number;
  /** Kept backups that cannot be restored without it: it wrapped a key in their manifest, or signed that. They go with retention. */
  backups: number;
  /** Exports that can be downloaded, or are being made: it wrapped their archive's key. They go when their time is over. */
  exports: number;
  /** Operations that are not over, or may be retried, whose Jobs' key it wraps. */
  operations: number;
  /** Deletion certificates that it signed. They are kept for ever; without it nobody can tell that they were not altered. */
  certificates: number;
};

const usesText = `
  select key_id, ${recordedUses.map((use) => `count(*) filter (where use = '${use}') as ${use}`).join(', ')}
  from (
    select split_part(files_key, '.', 2) as key_id, 'instances' as use from instance_keys
    union all
    select named.key_id, 'backups' from backups b, lateral (
      select split_part(b.dump_key, '.', 2) where b.dump_key is not null
      union select jsonb_array_elements_text(b.summary -> 'ringKeys')) as named (key_id)
    where b.state <> 'deleted'
    union all
    select split_part(archive_key, '.', 2), 'exports' from exports where archive_key is not null
    union all
    select key_id, 'operations' from (
      select split_part(job_key, '.', 2) as key_id, id from loads where ${needsJobKey('loads')}
      union select split_part(job_key, '.', 2), id from restores where ${needsJobKey('restores')}) as jobs
    union all
    select detail -> 'certificate' ->> 'keyId', 'certificates' from audit where action = 'purge.certified'
  ) as used
  where key_id is not null group by key_id order by key_id`;

/** Which keys of the ring the records name. A wrapped key is `w1.<key id>.<the rest>`. */
export async function keyUses(database: Database): Promise<KeyUse[]> {
  type Counted = { key_id: string } & Record<(typeof recordedUses)[number], string>;
  const { rows } = await database.query<Counted>(usesText);
  return rows.map(({ key_id: keyId, ...counts }) => ({
    keyId,
    instances: Number(counts.instances),
    backups: Number(counts.backups),
    exports: Number(counts.exports),
    operations: Number(counts.operations),
    certificates: Number(counts.certificates),
  }));
}

const pageSize = 500;

/**
 * Wraps every instance's files key by the ring's current key; returns how many were not. What is wrapped stays the same,
 * so no object of the store is touched. Repeatable; a kill leaves some of them for the next time.
 * @throws Failure as `KeyWrapper.unwrap`, at the first key that cannot be opened.
 */
export async function rewrapFilesKeys(
  database: Database,
  wrapper: Pick<KeyWrapper, 'rewrap'>,
  onPage: (progress: { looked: number; rewrapped: number }) => void,
): Promise<number> {
  let [after, looked, rewrapped] = ['', 0, 0];
  for (;;) {
    const { rows } = await database.query<{ instance_id: string; files_key: string }>(
      'select instance_id, files_key from instance_keys where instance_id > $1 order by instance_id limit $2',
      [after, pageSize],
    );
    for (const { instance_id: instanceId, files_key: wrapped } of rows) {
      const fresh = await wrapper.rewrap(wrapped, { purpose: 'files', instanceId });
      if (fresh === undefined) continue;
      const { rowCount } = await database.query(
        'update instance_keys set files_key = $3 where instance_id = $1 and files_key = $2',
        [instanceId, wrapped, fresh],
      );
      rewrapped += rowCount ?? 0;
    }
    looked += rows.length;
    onPage({ looked, rewrapped });
    after = rows.at(-1)?.instance_id ?? after;
    if (rows.length < pageSize) return rewrapped;
  }
}
