import type * as v from 'valibot';
import type { AnyEventDefinition } from '#events/envelope.ts';
import { backupAccepted, backupFailed, backupRequested } from '#events/instance/backup.ts';
import { exportAccepted, exportFailed, exportRequested } from '#events/instance/export.ts';
import { purgeAccepted, purgeFailed, purgeRequested } from '#events/instance/purge.ts';
import { repairAccepted, repairFailed, repairRequested } from '#events/instance/repair.ts';
import { restartAccepted, restartFailed, restartRequested } from '#events/instance/restart.ts';
import { restoreAccepted, restoreFailed, restoreRequested } from '#events/instance/restore.ts';
import { resumeAccepted, resumeFailed, resumeRequested } from '#events/instance/resume.ts';
import { startAccepted, startFailed, startRequested } from '#events/instance/start.ts';
import { stopAccepted, stopFailed, stopRequested } from '#events/instance/stop.ts';
import { suspendAccepted, suspendFailed, suspendRequested } from '#events/instance/suspend.ts';
import { terminateAccepted, terminateFailed, terminateRequested } from '#events/instance/terminate.ts';
import { undoAccepted, undoFailed, undoRequested } from '#events/instance/undo.ts';
import { verifyAccepted, verifyFailed, verifyRequested } from '#events/instance/verify.ts';
import type { makingKinds, OperationKind } from '#shared/domain/operation/operation.ts';
import type { InstanceOperationEvents } from '../operation/instance-operation.ts';
import type { Particulars, RequestData } from './instance-request.ts';
import { backupParticulars, exportParticulars, restoreParticulars, verifyParticulars } from './particulars.ts';

/** A kind that is asked of an instance that is there already. */
export type InstanceKind = Exclude<OperationKind, (typeof makingKinds)[number]>;

/** What is asked of an instance, and how it is answered. Its data has passed the schema of `requested`. */
export type AskableKind = {
  requested: AnyEventDefinition;
  events: Pick<InstanceOperationEvents, 'accepted' | 'failed'>;
  particulars: Particulars<RequestData>;
  /** The data goes for good: only what a proven backup holds may. */
  needsFinalBackup: boolean;
};

function askable<Data extends RequestData>(
  requested: AnyEventDefinition & { readonly schema: v.GenericSchema<unknown, Data> },
  events: AskableKind['events'],
  more: { particulars?: Particulars<Data>; needsFinalBackup?: true } = {},
): AskableKind {
  const { particulars = {}, needsFinalBackup = false } = more;
  // only data that has passed this very schema gets there
  return { requested, events, particulars: particulars as Particulars<RequestData>, needsFinalBackup };
}

export const askableKinds: Readonly<Record<InstanceKind, AskableKind>> = {
  start: askable(startRequested, { accepted: startAccepted, failed: startFailed }),
  stop: askable(stopRequested, { accepted: stopAccepted, failed: stopFailed }),
  restart: askable(restartRequested, { accepted: restartAccepted, failed: restartFailed }),
  suspend: askable(suspendRequested, { accepted: suspendAccepted, failed: suspendFailed }),
  resume: askable(resumeRequested, { accepted: resumeAccepted, failed: resumeFailed }),
  terminate: askable(terminateRequested, { accepted: terminateAccepted, failed: terminateFailed }),
  undo: askable(undoRequested, { accepted: undoAccepted, failed: undoFailed }),
  purge: askable(purgeRequested, { accepted: purgeAccepted, failed: purgeFailed }, { needsFinalBackup: true }),
  repair: askable(repairRequested, { accepted: repairAccepted, failed: repairFailed }),
  backup: askable(
    backupRequested,
    { accepted: backupAccepted, failed: backupFailed },
    { particulars: backupParticulars },
  ),
  verify: askable(
    verifyRequested,
    { accepted: verifyAccepted, failed: verifyFailed },
    { particulars: verifyParticulars },
  ),
  restore: askable(
    restoreRequested,
    { accepted: restoreAccepted, failed: restoreFailed },
    { particulars: restoreParticulars },
  ),
  export: askable(
    exportRequested,
    { accepted: exportAccepted, failed: exportFailed },
    { particulars: exportParticulars },
  ),
};
