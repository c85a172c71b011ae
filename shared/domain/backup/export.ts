import type { Backup } from './backup.ts';

/** `deleting`: its key is forgotten, so that nobody can read it, and its objects are being removed. */
export type ExportState = 'running' | 'ready' | 'failed' | 'deleting' | 'deleted';

/** What is in the store of one that can be downloaded. */
export type ExportedArchive = {
  /** Of the object. */
  key: string;
  /** Of the zip, before encryption. */
  bytes: number;
  /** Hex. */
  sha256: string;
  files: number;
};

/** A zip of a backup in Odoo's own format, as the platform's records hold it. */
export type Export = {
  /** Of the operation. */
  id: string;
  instanceId: string;
  backupId: string;
  state: ExportState;
  /** The Job that makes it, or made it, from 1. */
  round: number;
  /** Wrapped; null when it was forgotten. */
  archiveKey: string | null;
  startedAt: Date;
  archive: ExportedArchive | null;
  /** It can be downloaded before, and is deleted after. */
  expiresAt: Date | null;
  downloads: number;
};

export type BegunExport = { export: Export; backup: Backup };

type Holder = { id: string; fence: number };

/** The platform's records of exports. Every write of an operation refuses an older fence: Failure `fenced`. */
export type ExportRecords = {
  /**
   * Round 1, or the next one after it had failed; retention leaves the backup alone until the end. `backupId` null: the
   * newest that succeeded; the one it was begun with first stays. Repeatable: while it runs, or is ready, it is returned as
   * it is, with the key it has.
   * @throws Failure `not-found` when the instance has no such backup that can be restored (also for another instance's).
   */
  begin(
    operation: Holder,
    wanted: { instanceId: string; backupId: string | null; archiveKey: string },
  ): Promise<BegunExport>;
  /** The Job of that round was lost: the next one, with a key of its own. @throws Failure `conflict` when it does not run. */
  another(operation: Holder, next: { round: number; archiveKey: string }): Promise<BegunExport>;
  /** It can be downloaded for so long. Repeatable. @throws Failure `conflict` when that round does not run. */
  finish(operation: Holder, end: { round: number; archive: ExportedArchive; validSeconds: number }): Promise<Export>;
  read(operationId: string): Promise<Export | undefined>;
};

/** A customer's way to it. */
export type Downloads = {
  /** One that can be downloaded now, by the database's clock; the name is for the file. undefined: none, or no more. */
  find(exportId: string): Promise<{ export: Export; instanceName: string } | undefined>;
  /** Somebody reads it, or a part of it. */
  note(exportId: string): Promise<void>;
};
