import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import type { Row } from './rows.ts';

const errorOf = (row: { error_code: string | null; error_text: string | null }) =>
  row.error_code === null ? null : { code: row.error_code, text: row.error_text ?? '' };

function sizesOf(row: Row<'backups'>): Backup['sizes'] {
  if (row.dump_bytes === null) return null;
  return {
    dumpBytes: row.dump_bytes,
    filesBytes: row.files_bytes ?? 0,
    filesCount: row.files_count ?? 0,
    uploadedBytes: row.uploaded_bytes ?? 0,
  };
}

/** The backup of a whole row. */
export function toBackup(row: Row<'backups'>): Backup {
  const manifest = row.manifest_key === null ? null : { key: row.manifest_key, sha256: row.manifest_sha256 ?? '' };
  return {
    id: row.id,
    instanceId: row.instance_id,
    customerId: row.customer_id,
    kind: row.kind,
    state: row.state,
    round: row.round,
    serverId: row.server_id,
    dumpKey: row.dump_key,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    snapshotAt: row.snapshot_at,
    manifest,
    summary: row.summary,
    sizes: sizesOf(row),
    previousId: row.previous_id,
    error: errorOf(row),
    proof: {
      state: row.proof,
      at: row.proof_at,
      by: row.proof_by,
      text: row.proof_text,
      odooBooted: row.odoo_booted,
    },
    keepUntil: row.keep_until,
    lockedUntil: row.locked_until,
    deletedAt: row.deleted_at,
    deleteReason: row.delete_reason,
  };
}

/** The verification of a whole row. */
export function toVerification(row: Row<'verifications'>): Verification {
  return {
    id: row.id,
    backupId: row.backup_id,
    instanceId: row.instance_id,
    serverId: row.server_id,
    round: row.round,
    state: row.state,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    odooBooted: row.odoo_booted,
    boot: row.boot,
    bootText: row.boot_text,
    differences: row.differences,
    error: errorOf(row),
  };
}
