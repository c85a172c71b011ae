import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openManifest } from '#shared/domain/backup/manifest.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';

export type BackupSeen = {
  id: string;
  instance_id: string;
  kind: string;
  state: string;
  proof: string;
  proof_text: string | null;
  /** Why the manifest in the store is not the one that was accepted; undefined when it is, or there is to be none. */
  manifest: string | undefined;
};

/** What backups and verifications have come to. */
export type BackupsSeen = {
  made: BackupSeen[];
  verifications: { id: string; state: string }[];
  /** `is_exchanged`: database and files have changed places. */
  restores: { id: string; instance_id: string; state: string; is_dropped: boolean; is_exchanged: boolean }[];
  /** Events that tell of the end of a backup, verification or restore. */
  told: { operation: string; type: string }[];
  /** Databases and roles on the server for verifications that are none of its own. */
  left: string[];
};

type BackupRow = Omit<BackupSeen, 'manifest'> & { manifest_key: string | null; manifest_sha256: string | null };

export async function observeBackups(fleet: Fleet): Promise<BackupsSeen> {
  const rows = async <Row extends object>(text: string): Promise<Row[]> => (await fleet.records.query<Row>(text)).rows;
  const { signer } = openBackupKeys({ backupKeysFile: join(fleet.folder, 'secrets', 'backup-keys') });
  const backups = await rows<BackupRow>(
    `select id::text, instance_id, kind, state, proof, proof_text, manifest_key, manifest_sha256 from backups`,
  );
  const made = backups.map(async ({ manifest_key: key, manifest_sha256: sha256, ...row }): Promise<BackupSeen> => {
    if (row.state !== 'succeeded') return { ...row, manifest: undefined };
    const file = join(backupFolderOf(fleet.folder), key ?? '');
    return { ...row, manifest: await whyNot(file, { id: row.id, sha256, signer }) };
  });
  const { verification } = fleet.servers;
  const left =
    verification === undefined
      ? []
      : await queryAsSuperuser<{ name: string }>(
          verification,
          `select datname::text as name from pg_database where datname ~ '^(verify|trash|making)'
           union all select rolname::text from pg_roles where rolname like 'verify%'`,
        );
  return {
    made: await Promise.all(made),
    verifications: await rows('select id::text, state from verifications'),
    restores: await rows(
      `select id::text, instance_id, state, dropped_at is not null or taken_back_by is not null as is_dropped,
         switched_at is not null and swapped_at is not null as is_exchanged from restores`,
    ),
    told: await rows(
      `select data ->> 'operation' as operation, type from outbox
       where type ~ '^dev[.]odoofleet[.]instance[.](backup|verify|restore)[.](succeeded|failed)$'`,
    ),
    left: left.map(({ name }) => name),
  };
}

async function whyNot(
  file: string,
  expected: { id: string; sha256: string | null; signer: Pick<Signer, 'isSigned'> },
): Promise<string | undefined> {
  try {
    const bytes = await readFile(file);
    if (createHash('sha256').update(bytes).digest('hex') !== expected.sha256) return 'is not the one that was accepted';
    const { backupId } = openManifest(bytes, expected.signer);
    return backupId === expected.id ? undefined : `is of backup ${backupId}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
