import { startAccepted, startFailed, startSucceeded } from '#events/instance/start.ts';
import { isMade, isWantedRunning } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import type { RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { bringUp } from '#shared/steps/runtime/bring-up.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** Brings a stopped instance up, and waits for its login page. */
export function startOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.start,
      steps: onlyWhile(
        (instance) => isMade(instance) && isWantedRunning(instance),
        [...bringUp(ports), waitUntilReady(ports)],
      ),
    },
    events: { accepted: startAccepted, failed: startFailed },
    succeeded: startSucceeded,
    moves: { began: 'start-began', finished: 'start-finished', failed: 'start-failed' },
    isStillWanted: isWantedRunning,
    notificationOf: () => 'instance-started',
  };
}
