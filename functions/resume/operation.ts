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
  const parts = onlyWhile((instance) => isAlive(instance) && isFree(instance), bringUp(ports));
  const page = onlyWhile(
    (instance) => isAlive(instance) && !isFree(instance),
    [{ ...applyPart('ingress', ports), name: 'suspension-page' }],
  );
  const settleFree = onlyWhile((instance) => isAlive(instance) && isFree(instance), settle(ports));
  return {
    definition: {
      ...definitionFacts.resume,
      steps: [...parts, ...page, ...onlyWhile(isAlive, settle(ports))],
      others: [{ version: 1, steps: [...parts, ...settleFree, ...page] }],
    },
    events: { accepted: resumeAccepted, failed: resumeFailed },
    succeeded: resumeSucceeded,
    moves: { began: 'resume-began', finished: 'resume-finished', failed: 'resume-failed' },
    isStillWanted: isAlive,
    notificationOf: (instance) => (isFree(instance) ? 'instance-resumed' : undefined),
  };
}

function isAlive(instance: Instance): boolean {
  return isMade(instance) && instance.desiredState !== 'terminated';
}

function isFree(instance: Instance): boolean {
  return instance.suspensions.length === 0;
}
