import { repairAccepted, repairFailed, repairSucceeded } from '#events/instance/repair.ts';
import { type Instance, isMade, isWantedRunning } from '#shared/domain/instance/instance.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { cutSessions } from '#shared/steps/database/cut-sessions.ts';
import { findDatabase } from '#shared/steps/database/keep-database.ts';
import { repairLogin, repairOwnership } from '#shared/steps/database/repair-access.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { applyAllParts } from '#shared/steps/runtime/bring-up.ts';
import { type TakeDownPorts, takeDown } from '#shared/steps/runtime/take-down.ts';
import { waitUntilGone } from '#shared/steps/runtime/wait-until-gone.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** As a start. */
const deadlineMs = 15 * 60_000;

/**
 * Makes the world what the row wants, whatever somebody changed by hand or a failed operation left. Reconcile asks for it;
 * what is to be done is decided here again, from the row, so that it never starts what a suspension has just stopped.
 */
export function repairOperation(ports: TakeDownPorts): InstanceOperation {
  return {
    definition: {
      kind: 'repair',
      version: 1,
      deadlineMs,
      cancel: 'refused',
      steps: [
        ...onlyWhile(isAlive, [
          findDatabase(ports),
          repairLogin(ports),
          repairOwnership(ports),
          ...applyAllParts(ports),
        ]),
        ...onlyWhile((instance) => isAlive(instance) && isWantedRunning(instance), [waitUntilReady(ports)]),
        ...onlyWhile(
          (instance) => isAlive(instance) && !isWantedRunning(instance),
          [
            { ...waitUntilGone(ports), name: 'unwanted-pods' },
            { ...cutSessions(ports), name: 'unwanted-sessions' },
          ],
        ),
        ...onlyWhile(isTerminated, takeDown(ports)),
      ],
    },
    events: { accepted: repairAccepted, succeeded: repairSucceeded, failed: repairFailed },
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
