import type { DatabaseServer } from '../instance/instance.ts';
import type { Backup, BackupKind, BackupSizes, BootState, Verification } from './backup.ts';

/** An operation whose lease the caller holds. Every write below refuses an older fence: Failure `fenced`. */
type Holder = { id: string; fence: number };

/** What is known of a backup when its manifest was read back. */
export type BackupSuccess = {
  round: number;
  snapshotAt: Date;
  manifest: { key: string; sha256: string };
  summary: Readonly<Record<string, unknown>>;
  sizes: BackupSizes;
  /** When the object store's lock on its objects ends; null when it has none. */
  lockedUntil: Date | null;
};

/** A backup that was begun, with the wrapped keys it is made with. */
export type BegunBackup = { backup: Backup; dumpKey: string; filesKey: string };

/** A verification that was begun, with what it restores and where. */
export type BegunVerification = {
  verification: Verification;
  backup: Backup;
  server: DatabaseServer;
  /** Wrapped. */
  filesKey: string;
};

/** The platform's records of backups. The id of a backup is that of its operation. */
export type BackupRecords = {
  /**
   * Takes a slot of the instance's server and writes the intent: from its commit on nothing of the instance's files is
   * removed until the backup has ended. Round 1, or, when it had failed before, the next one. The keys are wrapped; where
   * one is stored already, the stored one counts and is returned: the files' key for ever, the dump's key within a round.
   * Repeatable: while it runs it is returned as it is.
   * @throws Failure `no-capacity` while the server has no free slot or files of the instance are being removed,
   * `not-found` when there is no such instance, `not-allowed` when it is on no server or purged.
   */
  begin(
    operation: Holder,
    intent: { instanceId: string; kind: BackupKind; dumpKey: string; filesKey: string },
  ): Promise<BegunBackup>;
  /**
   * The Job of round `round` was lost: goes on as the next round, with a key of its own. When it is there already it is
   * returned as it is. @throws Failure `conflict` when the backup does not run.
   */
  another(operation: Holder, next: { round: number; dumpKey: string }): Promise<BegunBackup>;
  /** Its manifest is in the store and was read back. Repeatable. @throws Failure `conflict` when that round does not run. */
  succeed(operation: Holder, success: BackupSuccess): Promise<Backup>;
  /** How far the Job has come, for people. */
  progress(operation: Holder, progress: unknown): Promise<void>;
  /** The backup of an operation, in whatever state. */
  read(backupId: string): Promise<Backup | undefined>;
  /** @throws Failure `not-found`, also for one of another instance. */
  find(wanted: { instanceId: string; backupId: string }): Promise<Backup>;
  /** Newest first, those that are deleted left out unless asked for. */
  list(wanted: { instanceId: string; limit?: number; withDeleted?: boolean }): Promise<Backup[]>;
  /** The newest that succeeded, by the moment it holds. */
  newest(instanceId: string): Promise<Backup | undefined>;
  /** The last proven restorable point. */
  newestProven(instanceId: string): Promise<Backup | undefined>;
  /** The wrapped key of the instance's files; undefined before its first backup. */
  filesKey(instanceId: string): Promise<string | undefined>;
};

/** The platform's records of verifications. */
export type VerificationRecords = {
  /**
   * Takes a slot of a server for verifications; retention leaves the backup alone until the end. Round 1, or the next one
   * after an end that did not prove the backup, or where Odoo did not run on it. `backupId` null: the newest that succeeded; the one it was begun with
   * first stays. Repeatable: while it runs, or when it has proven the backup, it is returned as it is.
   * @throws Failure `no-capacity` while no such server has a free slot, `not-found` when the instance has no such backup
   * (also for another instance's), or one that cannot be restored.
   */
  begin(operation: Holder, wanted: { instanceId: string; backupId: string | null }): Promise<BegunVerification>;
  /** As of backups: the Job of that round was lost. */
  another(operation: Holder, next: { round: number }): Promise<BegunVerification>;
  /** Its backup is proven, or refuted by what differs. Repeatable. @throws Failure `conflict` when that round does not run. */
  finish(
    operation: Holder,
    end: { round: number; odooBooted: boolean; differences: readonly string[] },
  ): Promise<Verification>;
  /** What was decided about starting Odoo, or what came of it. @throws Failure `conflict` as `finish`. */
  noteBoot(operation: Holder, note: { round: number; boot: BootState; text?: string }): Promise<void>;
  read(operationId: string): Promise<Verification | undefined>;
};
