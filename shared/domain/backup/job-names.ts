import { shortOperationId } from '../operation/identifiers.ts';

// Where the Jobs of a backup and of a verification write, and what they are called. The round tells them from each other:
// nothing of a Job that was lost is taken for the next one's.

/** A Job's place: of one operation on one instance, and the how-manieth Job of it. */
export type JobPlace = { instanceId: string; operationId: string; round: number };

/** A backup's id is its operation's. */
export function backupPrefix({ instanceId, operationId, round }: JobPlace): string {
  return `backups/${instanceId}/${operationId}/${round}`;
}

/** The signed manifest of a backup, written when everything it names is there. */
export function manifestKey({ instanceId, operationId }: Omit<JobPlace, 'round'>): string {
  return `backups/${instanceId}/${operationId}/manifest`;
}

export function verificationPrefix({ instanceId, operationId, round }: JobPlace, backupId: string): string {
  return `verifications/${instanceId}/${backupId}/${operationId}/${round}`;
}

/** Of an export and all its tries; the tick removes what lies below. */
export function exportFolder({ instanceId, operationId }: Omit<JobPlace, 'round'>): string {
  return `exports/${instanceId}/${operationId}`;
}

export function exportPrefix({ round, ...place }: JobPlace): string {
  return `${exportFolder(place)}/${round}`;
}

/** What Jobs of the worker image are there for; part of their names. */
export type WorkerTask = 'backup' | 'verify' | 'load' | 'neutralize' | 'swap' | 'tidy' | 'export';

/** Of the Job that starts Odoo on what was restored. */
export function bootJobName({ instanceId, operationId, round }: JobPlace): string {
  return `odoo-${instanceId}-boot-${shortOperationId(operationId)}-${round}`;
}

export function workerJobName(task: WorkerTask, { instanceId, operationId, round }: JobPlace): string {
  return `odoo-${instanceId}-${task}-${shortOperationId(operationId)}-${round}`;
}

/** Of the database and of its role. */
export function verificationDatabaseName({ operationId, round }: Omit<JobPlace, 'instanceId'>): string {
  return `verify_${shortOperationId(operationId)}_${round}`;
}
