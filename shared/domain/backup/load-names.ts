import { shortOperationId } from '../operation/identifiers.ts';
import type { JobPlace } from './job-names.ts';

// Where a load puts what it restores, beside what is live, and what the sides of a restore are called afterwards.

/** Of the database, of its role, and of the folder on the volume unless the load says another. */
export function loadDatabaseName({ instanceId, operationId, round }: JobPlace): string {
  return `load_${instanceId}_${shortOperationId(operationId)}_${round}`;
}

/** Of the side that a restore took out, its database and its folder, until its time is over. */
export function oldSideName({ instanceId, operationId }: Omit<JobPlace, 'round'>): string {
  return `old_${instanceId}_${shortOperationId(operationId)}`;
}

export function loadPrefix({ instanceId, operationId, round }: JobPlace): string {
  return `loads/${instanceId}/${operationId}/${round}`;
}

export function swapPrefix({ instanceId, operationId, round }: JobPlace): string {
  return `swaps/${instanceId}/${operationId}/${round}`;
}
