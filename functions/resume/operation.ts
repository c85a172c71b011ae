import { resumeAccepted, resumeFailed, resumeSucceeded } from '#events/instance/resume.ts';
import { type Instance, isMade } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { applyPart, type RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { bringUp } from '#shared/steps/runtime/bring-up.ts';
import { settle } from '#shared/steps/runtime/settle.ts';

/**
 * Closes one reason of a suspension. With none left the instance is again what is desired, running or stopped; with
 * another one open its page changes, and what a suspension that failed has left running is taken down.
 */
export function resumeOperation(ports: RuntimePorts): InstanceOperation {
  const parts = onlyWhile(isFreed, bringUp(ports));
  const page = onlyWhile(isHeld, [{ ...applyPart('ingress', ports), name: 'suspension-page' }]);
  return {
    definition: {
      ...definitionFacts.resume,
      steps: [...parts, ...page, ...onlyWhile(isAlive, settle(ports))],
      others: [{ version: 1, steps: [...parts, ...onlyWhile(isFreed, settle(ports)), ...page] }],
    },
    events: { accepted: resumeAccepted, failed: resumeFailed },
    succeeded: resumeSucceeded,
    moves: { began: 'resume-began', finished: 'resume-finished', failed: 'resume-failed' },
    isStillWanted: isAlive,
    notificationOf: (instance) => (isFreed(instance) ? 'instance-resumed' : undefined),
  };
}

function isAlive(instance: Instance): boolean {
  return isMade(instance) && instance.desiredState !== 'terminated';
}

function isFreed(instance: Instance): boolean {
  return isAlive(instance) && instance.suspensions.length === 0;
}

/** Another reason is open. */
function isHeld(instance: Instance): boolean {
  return isAlive(instance) && instance.suspensions.length > 0;
}
