import type { Failure } from '../failure.ts';
import type { DatabaseServer } from '../instance/instance.ts';
import type { Backup, BackupKind, BackupSizes, Verification } from './backup.ts';

/** An operation whose lease the caller holds. Every write below refuses an older fence: Failure `fenced`. */
type Holder = { id: string; fence: number };

/** What is known of a backup when its manifest was read back. */
export type BackupSuccess = {
  round: number;
  snapshotAt: Date;
  manifest: { key: string; sha256: string };
  summary: Readonly<Record<string, unknown>>;
  sizes: BackupSizes;
  /** When the object store's lock on its objects ends; null when it offers none. */
  lockedUntil: Date | null;
};

/** The platform's records of backups. The id of a backup is that of its operation. */
export type BackupRecords = {
  /**
   * Takes a slot of the instance's server and writes the intent: from its commit on nothing of the instance's files is
   * removed until the backup has ended. The keys are wrapped; where one is stored already, the stored one counts and is
   * returned: the files' key for ever, the dump's key within a round. Repeatable.
   * @throws Failure `no-capacity` while the server has no free slot or files of the instance are being removed,
   * `not-found` when there is no such instance, `not-allowed` when it is on no server or purged.
   */
  begin(
    operation: Holder,
    intent: { instanceId: string; kind: BackupKind; round: number; dumpKey: Buffer; filesKey: Buffer },
  ): Promise<{ backup: Backup; dumpKey: Buffer; filesKey: Buffer }>;
  /** Its manifest is in the store and was read back. Repeatable. @throws Failure `conflict` when the intent of that round is gone. */
  succeed(operation: Holder, success: BackupSuccess): Promise<Backup>;
  /** Gives the slot and the intent back. Does nothing for one that has ended. */
  fail(operation: Holder, end: { round: number; failure: Failure }): Promise<void>;
  /** @throws Failure `not-found`, also for one of another instance. */
  find(wanted: { instanceId: string; backupId: string }): Promise<Backup>;
  /** Newest first, those that are deleted left out unless asked for. */
  list(wanted: { instanceId: string; limit?: number; withDeleted?: boolean }): Promise<Backup[]>;
  /** The newest that succeeded, by the moment it holds. */
  newest(instanceId: string): Promise<Backup | undefined>;
  /** The last proven restorable point. */
  newestProven(instanceId: string): Promise<Backup | undefined>;
  /** The wrapped key of the instance's files; undefined before its first backup. */
  filesKey(instanceId: string): Promise<Buffer | undefined>;
};

/** The platform's records of verifications. */
export type VerificationRecords = {
  /**
   * Takes a slot of a server for verifications; retention leaves the backup alone until the end. The server and the
   * backup it was begun with stay for all rounds. `backupId` null: the newest that succeeded. Repeatable.
   * @throws Failure `no-capacity` while no such server has a free slot, `not-found` when the instance has no such backup
   * (also for another instance's), or one that cannot be restored.
   */
  begin(
    operation: Holder,
    wanted: { instanceId: string; backupId: string | null; round: number },
  ): Promise<{ verification: Verification; backup: Backup; server: DatabaseServer; filesKey: Buffer }>;
  /** Its backup is proven, or refuted by what differs. Repeatable. @throws Failure `conflict` when the round is not at work. */
  finish(
    operation: Holder,
    end: { round: number; odooBooted: boolean; differences: readonly string[] },
  ): Promise<Verification>;
  /** It could not be told: the backup's proof stays what it was. Does nothing for one that has ended. */
  fail(operation: Holder, end: { round: number; failure: Failure }): Promise<void>;
  find(operationId: string): Promise<Verification | undefined>;
};
