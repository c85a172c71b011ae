import { terminateAccepted, terminateFailed, terminateSucceeded } from '#events/instance/terminate.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { type TakeDownPorts, takeDown } from '#shared/steps/runtime/take-down.ts';

function isTerminated(instance: Instance): boolean {
  return instance.desiredState === 'terminated';
}

/**
 * The first of the two phases of an end: the runtime goes and the host is free, the database is set aside, files and
 * passwords are kept. `undo` restores all of it while its window is open; `purge` destroys it after that.
 */
export function terminateOperation(ports: TakeDownPorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.terminate,
      steps: onlyWhile(isTerminated, takeDown(ports)),
    },
    events: { accepted: terminateAccepted, failed: terminateFailed },
    succeeded: terminateSucceeded,
    moves: { began: 'terminate-began', finished: 'terminate-finished', failed: 'terminate-failed' },
    isStillWanted: isTerminated,
    notificationOf: () => 'instance-terminated',
  };
}
