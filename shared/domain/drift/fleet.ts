import type { OperationKind } from '../operation/operation.ts';
import type { Finding, Place } from './findings.ts';
import { placeOfServer } from './findings.ts';

/** What the records say about the fleet itself, at one moment. */
export type FleetFacts = {
  /** A server's count of instances that is not the number of its rows. */
  counts: readonly { serverId: string; count: number; rows: number; maxInstances: number }[];
  /** Unfinished operations that nobody carries on. */
  operations: readonly { id: string; instanceId: string; kind: OperationKind; isOverdue: boolean }[];
  /** Terminated instances whose undo window is over. */
  purgeDue: readonly string[];
  /** Templates of which a server has less than half of the clones it should have. */
  warmShortages: readonly { serverId: string; digest: string; reason: string }[];
  isOutboxWaiting: boolean;
  areDeadEventsWaiting: boolean;
  /** Places the last passes could not read. */
  unreadable: readonly Place[];
};

/** What is amiss about the fleet itself. Pure. */
export function findingsOfFleet(facts: FleetFacts): Finding[] {
  return [
    ...facts.counts.map(({ serverId, count, rows, maxInstances }) =>
      ofFleet(
        'server-count-wrong',
        placeOfServer(serverId),
        `counted ${count}, rows ${rows}${rows > maxInstances ? `: more than max_instances, ${maxInstances}` : ''}`,
      ),
    ),
    ...facts.operations.map(({ id, instanceId, kind, isOverdue }) => ({
      ...ofFleet(isOverdue ? 'operation-overdue' : 'operation-stuck', `operation ${id}`, kind),
      instanceId,
    })),
    ...facts.purgeDue.map((instanceId) => ({
      ...ofFleet('purge-due', instanceId, 'the undo window is over'),
      instanceId,
    })),
    ...facts.warmShortages.map(({ serverId, digest, reason }) =>
      ofFleet('warm-pool-low', `template ${digest} on ${placeOfServer(serverId)}`, reason),
    ),
    ...(facts.isOutboxWaiting ? [ofFleet('outbox-waiting', 'outbox', 'older than a minute')] : []),
    ...(facts.areDeadEventsWaiting ? [ofFleet('dead-events-waiting', 'dead events', 'waiting for a person')] : []),
    ...facts.unreadable.map((place) => ofFleet('place-unreadable', place, 'the last survey failed; the log says why')),
  ];
}

function ofFleet(kind: Finding['kind'], subject: string, detail: string): Finding {
  return { kind, subject, instanceId: null, place: 'records', detail };
}
