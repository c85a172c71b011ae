import { verifyAccepted, verifyFailed, verifySucceeded } from '#events/instance/verify.ts';
import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { acceptVerdict } from '#shared/steps/backup/accept-verdict.ts';
import { bootOdoo } from '#shared/steps/backup/boot-odoo.ts';
import { releaseVerification, releaseVerificationStep } from '#shared/steps/backup/release-verification.ts';
import { restoreToVerify, type VerifyPorts } from '#shared/steps/backup/restore-to-verify.ts';

/**
 * Proves a backup: restores it where no tenant is, reads all of it, compares it with its manifest, and on a sample starts
 * Odoo on it and asks.
 */
export function verifyOperation(ports: VerifyPorts): InstanceOperation {
  const [restore, verdict, release] = [restoreToVerify(ports), acceptVerdict(ports), releaseVerificationStep(ports)];
  return {
    definition: {
      ...definitionFacts.verify,
      steps: [restore, bootOdoo(ports), verdict, release],
      others: [{ version: 1, steps: [restore, verdict, release] }],
    },
    events: { accepted: verifyAccepted, failed: verifyFailed },
    async succeeded(_transaction, { operation }, { data, envelope }) {
      const verification = await ports.verifications.read(operation.id);
      if (verification === undefined) throw new Failure('internal', 'There is no record of what was verified.');
      return announce(
        verifySucceeded,
        { ...data, backup: verification.backupId, booted: verification.odooBooted },
        envelope,
      );
    },
    moves: {},
    leavesInstanceAlone: true,
    isStillWanted: () => true,
    release: (context) => releaseVerification(context, ports),
    onOtherEnd: (transaction, { operation }, why) => endUnfinished(transaction, operation.id, why),
  };
}
