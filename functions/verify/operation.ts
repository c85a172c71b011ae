import { verifyAccepted, verifyFailed, verifySucceeded } from '#events/instance/verify.ts';
import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { acceptVerdict } from '#shared/steps/backup/accept-verdict.ts';
import { releaseVerification, releaseVerificationStep } from '#shared/steps/backup/release-verification.ts';
import { restoreToVerify, type VerifyPorts } from '#shared/steps/backup/restore-to-verify.ts';

/** As a backup. */
const deadlineMs = 8 * 3_600_000;

/** Proves a backup: restores it where no tenant is, reads all of it and compares it with its manifest. */
export function verifyOperation(ports: VerifyPorts): InstanceOperation {
  return {
    definition: {
      kind: 'verify',
      version: 1,
      deadlineMs,
      cancel: 'undoes',
      steps: [restoreToVerify(ports), acceptVerdict(ports), releaseVerificationStep(ports)],
    },
    events: { accepted: verifyAccepted, failed: verifyFailed },
    async succeeded(_transaction, { operation }, { data, envelope }) {
      const verification = await ports.verifications.read(operation.id);
      if (verification === undefined) throw new Failure('internal', 'There is no record of what was verified.');
      return announce(verifySucceeded, { ...data, backup: verification.backupId }, envelope);
    },
    moves: {},
    leavesInstanceAlone: true,
    isStillWanted: () => true,
    release: (context) => releaseVerification(context, ports),
    onOtherEnd: (transaction, { operation }, why) => endUnfinished(transaction, operation.id, why),
  };
}
