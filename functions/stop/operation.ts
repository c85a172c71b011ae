import { stopAccepted, stopFailed, stopSucceeded } from '#events/instance/stop.ts';
import { type Instance, isMade } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import type { RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { bringDown } from '#shared/steps/runtime/bring-down.ts';

function isWantedStopped(instance: Instance): boolean {
  return instance.desiredState === 'stopped';
}

/** Takes an instance down at its customer's wish. Its data, its host and its Ingress stay. */
export function stopOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.stop,
      steps: onlyWhile((instance) => isMade(instance) && isWantedStopped(instance), bringDown(ports)),
    },
    events: { accepted: stopAccepted, failed: stopFailed },
    succeeded: stopSucceeded,
    moves: { began: 'stop-began', finished: 'stop-finished', failed: 'stop-failed' },
    isStillWanted: isWantedStopped,
    notificationOf: () => 'instance-stopped',
  };
}
