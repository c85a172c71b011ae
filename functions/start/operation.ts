import { startAccepted, startFailed, startSucceeded } from '#events/instance/start.ts';
import { isMade, isWantedRunning } from '#shared/domain/instance/instance.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import type { RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { bringUp } from '#shared/steps/runtime/bring-up.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** The startup probe gives Odoo 5 minutes; a node that has to be added first takes as long again. */
const deadlineMs = 15 * 60_000;

/** Brings a stopped instance up, and waits for its login page. */
export function startOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      kind: 'start',
      version: 1,
      deadlineMs,
      cancel: 'refused',
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
