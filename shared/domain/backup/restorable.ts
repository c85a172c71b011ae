import { Failure } from '../failure.ts';
import type { BackupState, ProofState } from './backup.ts';

/** What of a backup decides whether an instance may be restored from it. */
export type RestorableFacts = {
  id: string;
  instanceId: string;
  state: BackupState;
  proof: ProofState;
  /** Of the module `base`, such as `19.0.1.3`; null where there was no Odoo in the database. */
  odooVersion: string | null;
};

/** The first part of a version: `19` of `19.0` and of `19.0.1.3`, `17` of `saas~17.2`. */
export function majorOf(version: string): string {
  return /\d+/.exec(version)?.[0] ?? version;
}

/**
 * Why an instance cannot be restored from a backup of its own, or undefined. Pure. A database of another major version of
 * Odoo would be taken for one that must be upgraded, or not be read at all.
 */
export function refuseBackup(backup: RestorableFacts, imageVersion: string): Failure | undefined {
  const { id, instanceId, state, proof, odooVersion } = backup;
  if (state !== 'succeeded') {
    return new Failure('not-found', `Instance ${instanceId} has no backup ${id} that can be restored.`);
  }
  if (proof === 'refuted') {
    const text = `Backup ${id} was found damaged when it was verified. Restore another one.`;
    return new Failure('not-allowed', text);
  }
  if (odooVersion === null) {
    return new Failure('not-allowed', `There was no Odoo in the database when backup ${id} was made.`);
  }
  if (majorOf(odooVersion) === majorOf(imageVersion)) return undefined;
  return new Failure(
    'not-allowed',
    `Backup ${id} is of Odoo ${odooVersion}, the instance runs Odoo ${imageVersion}: it cannot be restored into it.`,
  );
}

/** A server does not take what a newer one has written. Pure. */
export function refusePostgres(dumpMajor: number, serverMajor: number): Failure | undefined {
  if (serverMajor >= dumpMajor) return undefined;
  return new Failure(
    'not-allowed',
    `The backup was made by PostgreSQL ${dumpMajor}, the instance's server is PostgreSQL ${serverMajor}, which is older.`,
  );
}
