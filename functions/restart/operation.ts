import { restartAccepted, restartFailed, restartSucceeded } from '#events/instance/restart.ts';
import { isMade, isWantedRunning } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { findDatabase } from '#shared/steps/database/keep-database.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { applyPart, type RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { drainCron } from '#shared/steps/runtime/drain-cron.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** Replaces the pods by new ones. Accepting it has noted in the row that they must be, so that it happens once. */
export function restartOperation(ports: RuntimePorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.restart,
      steps: onlyWhile(
        (instance) => isMade(instance) && isWantedRunning(instance),
        [
          findDatabase(ports),
          applyPart('configuration', ports),
          drainCron(ports),
          applyPart('deployment', ports),
          waitUntilReady(ports),
        ],
      ),
    },
    events: { accepted: restartAccepted, failed: restartFailed },
    succeeded: restartSucceeded,
    moves: { began: 'restart-began', finished: 'restart-finished', failed: 'restart-failed' },
    isStillWanted: isWantedRunning,
  };
}
