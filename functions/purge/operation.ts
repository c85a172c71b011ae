import { purgeAccepted, purgeFailed, purgeSucceeded } from '#events/instance/purge.ts';
import { markPurged } from '#shared/adapters/postgres/instance-records.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { purgeDatabase } from '#shared/steps/database/keep-database.ts';
import { onlyWhile } from '#shared/steps/only-while.ts';
import { leaveServer } from '#shared/steps/placement/leave-server.ts';
import { removeCredentials, removePart } from '#shared/steps/runtime/remove-part.ts';
import { type TakeDownPorts, takeDown } from '#shared/steps/runtime/take-down.ts';

const deadlineMs = 20 * 60_000;

function isTerminated(instance: Instance): boolean {
  return instance.desiredState === 'terminated';
}

/**
 * The second phase of an end: destroys what a termination has kept, as far as it bears the instance's id. What should be
 * gone since then is taken away first, whoever put it there.
 */
export function purgeOperation(ports: TakeDownPorts & { placement: Placement }): InstanceOperation {
  return {
    definition: {
      kind: 'purge',
      version: 1,
      deadlineMs,
      cancel: 'refused',
      steps: onlyWhile(isTerminated, [
        ...takeDown(ports),
        removePart('volume', ports),
        purgeDatabase(ports),
        removeCredentials(ports),
        leaveServer(ports),
      ]),
    },
    events: { accepted: purgeAccepted, failed: purgeFailed },
    succeeded: purgeSucceeded,
    moves: { finished: 'purge-finished' },
    isStillWanted: isTerminated,
    onSuccess: (transaction, { instance }) => markPurged(transaction, instance.id),
  };
}
