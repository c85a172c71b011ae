import { repairAccepted, repairFailed, repairSucceeded } from '#events/instance/repair.ts';
import { type Instance, isMade, isWantedRunning } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { recoverDatabase, setBaseUrl } from '#shared/steps/database/keep-database.ts';
import { repairLogin, repairOwnership } from '#shared/steps/database/repair-access.ts';
import { takeHost } from '#shared/steps/hosts/hosts.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { scaleDown } from '#shared/steps/runtime/bring-down.ts';
import { applyAllParts } from '#shared/steps/runtime/bring-up.ts';
import { settle } from '#shared/steps/runtime/settle.ts';
import { type TakeDownPorts, takeDown } from '#shared/steps/runtime/take-down.ts';

/**
 * Makes the world what the row wants, whatever somebody changed by hand or a failed operation left: an undo or a
 * termination that stopped half-way is carried to its end. Reconcile asks for it;
 * what is to be done is decided here again, from the row, so that it never starts what a suspension has just stopped.
 */
export function repairOperation(ports: TakeDownPorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.repair,
      steps: [
        // First: whoever must not run is taken down, whatever else is wrong with it.
        ...onlyWhile(
          (instance) => isAlive(instance) && !isWantedRunning(instance),
          [{ ...scaleDown(ports), name: 'stop-first' }],
        ),
        ...onlyWhile(isAlive, [
          takeHost(ports),
          recoverDatabase(ports),
          repairLogin(ports),
          repairOwnership(ports),
          setBaseUrl(ports),
          ...applyAllParts(ports),
          ...settle(ports),
        ]),
        ...onlyWhile(isTerminated, takeDown(ports)).map((step) => ({ ...step, name: `end-${step.name}` })),
      ],
    },
    events: { accepted: repairAccepted, failed: repairFailed },
    succeeded: repairSucceeded,
    moves: { finished: 'repair-finished' },
    isStillWanted: (instance) => isAlive(instance) || isTerminated(instance),
  };
}

function isAlive(instance: Instance): boolean {
  return isMade(instance) && instance.desiredState !== 'terminated';
}

function isTerminated(instance: Instance): boolean {
  return instance.desiredState === 'terminated';
}
