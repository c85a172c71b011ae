import { undoAccepted, undoFailed, undoSucceeded } from '#events/instance/undo.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { bringDatabaseBack, setBaseUrl } from '#shared/steps/database/keep-database.ts';
import { takeHost } from '#shared/steps/hosts/hosts.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import type { RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { applyAllParts } from '#shared/steps/runtime/bring-up.ts';
import { settle } from '#shared/steps/runtime/settle.ts';

function isWantedBack(instance: Instance): boolean {
  return instance.desiredState !== 'terminated';
}

/**
 * Undoes a termination: the instance is again what it was before, running or stopped, under its old host where that is
 * free and under a longer one where it is not. Its `succeeded` event says which.
 */
export function undoOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.undo,
      steps: onlyWhile(isWantedBack, [
        takeHost(ports),
        bringDatabaseBack(ports),
        setBaseUrl(ports),
        ...applyAllParts(ports),
        ...settle(ports),
      ]),
    },
    events: { accepted: undoAccepted, failed: undoFailed },
    succeeded: undoSucceeded,
    moves: { began: 'undo-began', finished: 'undo-finished', failed: 'undo-failed' },
    isStillWanted: isWantedBack,
    notificationOf: () => 'instance-restored',
  };
}
