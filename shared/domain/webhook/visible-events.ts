import type { AnyEventDefinition } from '#events/envelope.ts';
import { backupFailed, backupSucceeded } from '#events/instance/backup.ts';
import { cloneFailed, cloneSucceeded } from '#events/instance/clone.ts';
import { exportFailed, exportSucceeded } from '#events/instance/export.ts';
import { importFailed, importSucceeded } from '#events/instance/import.ts';
import { provisionFailed } from '#events/instance/provision-failed.ts';
import { provisioned } from '#events/instance/provisioned.ts';
import { purgeSucceeded } from '#events/instance/purge.ts';
import { restartFailed, restartSucceeded } from '#events/instance/restart.ts';
import { restoreFailed, restoreSucceeded } from '#events/instance/restore.ts';
import { resumeFailed, resumeSucceeded } from '#events/instance/resume.ts';
import { startFailed, startSucceeded } from '#events/instance/start.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { stopFailed, stopSucceeded } from '#events/instance/stop.ts';
import { suspendFailed, suspendSucceeded } from '#events/instance/suspend.ts';
import { terminateFailed, terminateSucceeded } from '#events/instance/terminate.ts';
import { undoFailed, undoSucceeded } from '#events/instance/undo.ts';
import { verifyFailed, verifySucceeded } from '#events/instance/verify.ts';
import { webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import type { FailureCode } from '../failure.ts';

/**
 * What customers may be told of: ends of what they or their bills asked for, and the status of their instances. Commands,
 * repairs, notices between our functions and billing's events are ours. A type is added here by name, never by a pattern.
 */
export const visibleEvents = [
  provisioned,
  provisionFailed,
  startSucceeded,
  startFailed,
  stopSucceeded,
  stopFailed,
  restartSucceeded,
  restartFailed,
  suspendSucceeded,
  suspendFailed,
  resumeSucceeded,
  resumeFailed,
  terminateSucceeded,
  terminateFailed,
  undoSucceeded,
  undoFailed,
  purgeSucceeded,
  backupSucceeded,
  backupFailed,
  verifySucceeded,
  verifyFailed,
  restoreSucceeded,
  restoreFailed,
  cloneSucceeded,
  cloneFailed,
  importSucceeded,
  importFailed,
  exportSucceeded,
  exportFailed,
  statusChanged,
  webhookEndpointDisabled,
] as const satisfies readonly AnyEventDefinition[];

export type VisibleType = (typeof visibleEvents)[number]['type'];

export const visibleTypes = visibleEvents.map(({ type }) => type) as [VisibleType, ...VisibleType[]];

/** Refusals and ends whose text was written for whoever asked. Other texts may name servers and objects of ours. */
export const toldCodes: ReadonlySet<string> = new Set<FailureCode>([
  'invalid-request',
  'not-found',
  'quota-exceeded',
  'host-taken',
  'name-reserved',
  'unknown-plan',
  'unknown-image',
  'not-allowed',
  'suspended',
  'terminated',
  'superseded',
  'backup-required',
  'too-many-operations',
  'cancelled',
]);

export const ourTrouble =
  'It could not be carried out, through no fault of the request. The operation is kept and can be retried.';

/**
 * An event's data as its customer may read it: without the reasons of moves, which are written for operators, and without
 * the codes and texts of failures that are ours.
 */
export function customerView(type: string, data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (type === statusChanged.type) {
    const { reason: _reason, generation: _generation, ...shown } = data;
    return shown;
  }
  const isOurs = 'code' in data && !toldCodes.has(String(data['code']));
  return isOurs ? { ...data, code: 'failed', text: ourTrouble } : { ...data };
}
