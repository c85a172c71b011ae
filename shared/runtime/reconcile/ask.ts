import { purgeRequested } from '#events/instance/purge.ts';
import { repairRequested } from '#events/instance/repair.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { lockAskable, noteRequests } from '#shared/adapters/postgres/findings.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { Finding } from '#shared/domain/drift/findings.ts';
import { type DriftKind, repairedKinds, unrepairableKinds, urgentKinds } from '#shared/domain/drift/policy.ts';
import { type Request, requestsOf } from '#shared/domain/drift/requests.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { type ReconcileSettings, requestsPerPass } from './engine.ts';

const purgedKinds: readonly DriftKind[] = ['purge-due'];

const blocking = {
  repair: { except: unrepairableKinds, urgent: urgentKinds },
  purge: { except: [], urgent: [] },
} as const;

type Options = { eventSource: string; settings: Pick<ReconcileSettings, 'purgesAfterWindow'> };

/**
 * Asks for the operations that what was found calls for, in the transaction that writes it: repairs, and
 * purges of tombstones where that is switched on. Each goes the way of every request and decides again
 * from the row. Returns how many were asked for.
 */
export async function askForOperations(
  transaction: Queryable,
  findings: readonly Finding[],
  { eventSource, settings }: Options,
): Promise<number> {
  const repairs = await ask(transaction, findings, { what: 'repair', kinds: repairedKinds });
  const purges = settings.purgesAfterWindow
    ? await ask(transaction, findings, { what: 'purge', kinds: purgedKinds })
    : [];
  await enqueue(transaction, [
    ...repairs.map((request) => repairOf(request, eventSource)),
    ...purges.map((request) => purgeOf(request, eventSource)),
  ]);
  return repairs.length + purges.length;
}

async function ask(
  transaction: Queryable,
  findings: readonly Finding[],
  wanted: { what: 'repair' | 'purge'; kinds: readonly DriftKind[] },
): Promise<Request[]> {
  const { what, kinds } = wanted;
  const ids = findings.flatMap(({ kind, instanceId }) =>
    kinds.includes(kind) && instanceId !== null ? [instanceId] : [],
  );
  const instanceIds = [...new Set(ids)];
  const askable = await lockAskable(transaction, {
    instanceIds,
    kinds,
    ofTerminated: what === 'purge',
    ...blocking[what],
  });
  const requests = requestsOf(askable, { what, atMost: requestsPerPass });
  await noteRequests(transaction, requests, kinds);
  return requests;
}

function repairOf({ instanceId, kinds, eventId }: Request, source: string): OutgoingEvent {
  const data = { instance: instanceId, reason: 'Found by the periodic check', findings: kinds };
  return announce(repairRequested, data, { id: eventId, source });
}

/** Without a word about backups: the purge itself refuses where none is proven. */
function purgeOf({ instanceId, eventId }: Request, source: string): OutgoingEvent {
  return announce(purgeRequested, { instance: instanceId, reason: 'The undo window is over' }, { id: eventId, source });
}
