import { suspendAccepted, suspendFailed, suspendSucceeded } from '#events/instance/suspend.ts';
import { type Instance, isMade } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { takeHost } from '#shared/steps/hosts/hosts.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { applyPart, type RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { bringDown } from '#shared/steps/runtime/bring-down.ts';

function isSuspended(instance: Instance): boolean {
  return instance.desiredState !== 'terminated' && instance.suspensions.length > 0;
}

/** Keeps an instance from running: its host shows the suspension page, its runtime goes, its data is not touched. */
export function suspendOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.suspend,
      steps: onlyWhile(
        (instance) => isMade(instance) && isSuspended(instance),
        [takeHost(ports), applyPart('ingress', ports), ...bringDown(ports)],
      ),
    },
    events: { accepted: suspendAccepted, failed: suspendFailed },
    succeeded: suspendSucceeded,
    moves: { began: 'suspend-began', finished: 'suspend-finished', failed: 'suspend-failed' },
    isStillWanted: isSuspended,
    notificationOf: () => 'instance-suspended',
  };
}
