export const backupKinds = ['manual', 'scheduled', 'before-upgrade', 'before-restore', 'final'] as const;
export type BackupKind = (typeof backupKinds)[number];

/** `deleting`: given up, its objects are being removed. Only `succeeded` can be restored. */
export type BackupState = 'running' | 'succeeded' | 'failed' | 'deleting' | 'deleted';

/** `proven`: restored and looked at. `refuted`: restoring it showed that it is not what its manifest says. */
export type ProofState = 'none' | 'proven' | 'refuted';

/** `failed`: it could not be told whether the backup is good. */
export type VerificationState = 'running' | 'proven' | 'refuted' | 'failed';

/** `failed`: it did not come up, or answered otherwise than expected. That refutes no backup: its data are what they were. */
export type BootState = 'not-wanted' | 'wanted' | 'booted' | 'failed';

export type BackupSizes = {
  /** Of the dump as it is stored. */
  dumpBytes: number;
  /** Of all files the backup names. */
  filesBytes: number;
  filesCount: number;
  /** Of those that were not in the store yet. */
  uploadedBytes: number;
};

/** A backup of one instance, as the platform's records hold it. */
export type Backup = {
  /** Of the operation that made it: a UUIDv7. */
  id: string;
  instanceId: string;
  customerId: string;
  kind: BackupKind;
  state: BackupState;
  /** The Job that makes it, or made it, from 1: one that was lost is begun anew under the next number. */
  round: number;
  /** The Odoo PostgreSQL server it was taken from. */
  serverId: string;
  /** The key of its dump, wrapped; null once it was deleted. */
  dumpKey: string | null;
  startedAt: Date;
  finishedAt: Date | null;
  /** The moment whose state of the data it holds. */
  snapshotAt: Date | null;
  manifest: { key: string; sha256: string } | null;
  /** What people want to see of the manifest. */
  summary: Readonly<Record<string, unknown>>;
  sizes: BackupSizes | null;
  previousId: string | null;
  error: { code: string; text: string } | null;
  proof: { state: ProofState; at: Date | null; by: string | null; text: string | null; odooBooted: boolean };
  /** Retention leaves it alone before this. */
  keepUntil: Date | null;
  /** The object store refuses to delete it before this. */
  lockedUntil: Date | null;
  deletedAt: Date | null;
  deleteReason: string | null;
};

/** One restore of a backup into a database of its own, to look at it. */
export type Verification = {
  /** Of the operation. */
  id: string;
  backupId: string;
  instanceId: string;
  serverId: string;
  round: number;
  state: VerificationState;
  startedAt: Date;
  finishedAt: Date | null;
  odooBooted: boolean;
  /** Whether Odoo is to be started on what was restored, and what came of it; null: nobody has decided. */
  boot: BootState | null;
  /** Of one that failed: why. */
  bootText: string | null;
  /** What differs from the manifest, in words. */
  differences: readonly string[];
  error: { code: string; text: string } | null;
};
