import { isDeepStrictEqual } from 'node:util';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import {
  type BilledInstance,
  type NewRequest,
  readBilledInstances,
  saveRequest,
} from '#shared/adapters/postgres/billing-requests.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { lockInstanceRequests } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import {
  type HeldSubscription,
  listSubscriptions,
  noteDue,
  standingOfCustomer,
} from '#shared/adapters/postgres/subscriptions.ts';
import { requestData, requestEvent } from '#shared/domain/billing/announce.ts';
import { type BillingStanding, standingOf, stateOf } from '#shared/domain/billing/policy.ts';
import { nextRequest, reasonOf } from '#shared/domain/billing/requests.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';

/** What is decided about, and why now. */
export type BillingOccasion = {
  customerId: string;
  instanceIds: readonly string[];
  /** Source of our own events. */
  eventSource: string;
  /** Who or what brought it about, for the audit: an event's source, or our own for the passing of time. */
  actor: string;
  /** The event that did; left out when it was time. */
  causationId?: string;
  isPayment: boolean;
};

/**
 * Decides about instances of one customer from what is held now, and asks for the operations that follow: by the outbox,
 * in the caller's transaction, which holds the customer's billing lock. Returns how many it asked for.
 */
export async function decideInstances(transaction: Queryable, occasion: BillingOccasion): Promise<number> {
  const { customerId, instanceIds } = occasion;
  if (instanceIds.length === 0) return 0;
  // Whoever lifts a suspension has asked what the bills say: he is done before it is decided here, or comes after it.
  await lockInstanceRequests(transaction, ...instanceIds);
  const { now, subscriptions } = await listSubscriptions(transaction, occasion);
  const customer = await standingOfCustomer(transaction, customerId);
  const instances = await readBilledInstances(transaction, occasion);
  const decided = instances.map((instance) => {
    const own = subscriptions.filter(({ facts }) => facts.instanceId === instance.instanceId);
    const standing = standingOf(own, customer, now);
    const lookAgain = isAwaited(instance, standing);
    return {
      requests: decideOne(occasion, { instance, subscriptions: own, standing }),
      dues: own.map((one) => ({ source: one.facts.source, id: one.facts.id, dueAt: dueAt(one, { now, lookAgain }) })),
    };
  });
  await noteDue(
    transaction,
    decided.flatMap(({ dues }) => dues),
  );
  const requests = decided.flatMap((one) => one.requests);
  await ask(transaction, occasion, requests);
  return requests.length;
}

async function ask(
  transaction: Queryable,
  { actor, causationId, eventSource: source }: BillingOccasion,
  requests: readonly NewRequest[],
): Promise<void> {
  const cause = causationId === undefined ? {} : { causationId };
  for (const request of requests) {
    const { kind, instanceId, eventId } = request;
    await saveRequest(transaction, request);
    await appendAudit(transaction, {
      actor,
      action: `billing.asked-${kind}`,
      instanceId,
      detail: { event: eventId, ...cause },
    });
  }
  await enqueue(
    transaction,
    requests.map(({ kind, data, eventId: id, instanceId }) => {
      return requestEvent(kind, data, { id, source, instanceId, ...cause });
    }),
  );
}

/** Billing may hear of an instance before its provisioning was accepted: what it wants then is wanted later, too. */
function isAwaited({ presence }: BilledInstance, { wish }: BillingStanding): boolean {
  return presence === 'absent' && (wish === 'suspend' || wish === 'terminate');
}

const firstLookMs = 10_000;

/** When the subscription is to be decided about again. For an instance that never comes the waits double. */
function dueAt(
  { facts, policy, heldSince }: HeldSubscription,
  { now, lookAgain }: { now: Date; lookAgain: boolean },
): Date | null {
  const { changesAt } = stateOf(facts, policy, now);
  if (!lookAgain) return changesAt;
  const look = new Date(now.getTime() + Math.max(firstLookMs, now.getTime() - heldSince.getTime()));
  return changesAt !== null && changesAt < look ? changesAt : look;
}

function decideOne(
  { customerId, isPayment }: BillingOccasion,
  work: { instance: BilledInstance; subscriptions: readonly HeldSubscription[]; standing: BillingStanding },
): NewRequest[] {
  const { instance, standing } = work;
  const { instanceId } = instance;
  const provision = provisionData(work.subscriptions, instanceId);
  const isAsAsked = isDeepStrictEqual(instance.last?.data, provision);
  const wantsMade = provision === undefined ? 'nothing' : isAsAsked ? 'as-asked' : 'anew';
  const next = nextRequest(standing.wish, { ...instance, wantsMade, isPayment });
  if (next === undefined) return [];
  const sequence = (instance.last?.sequence ?? 0) + 1;
  const data =
    next.kind === 'provision'
      ? (provision ?? {})
      : requestData(next.kind, { instance: instanceId, sequence, reason: `${reasonOf(standing.state)}.` });
  return [{ ...next, instanceId, customerId, sequence, data, eventId: eventIdOf(instanceId, `billing ${sequence}`) }];
}

/** The request for an instance that is to be made, as its subscription says. Always the same id: there is one at most. */
function provisionData(subscriptions: readonly HeldSubscription[], instanceId: string): object | undefined {
  const facts = subscriptions.map((one) => one.facts).find(({ configuration }) => configuration !== null);
  if (facts === undefined) return undefined;
  return { ...facts.configuration, instance: instanceId, customer: facts.customerId, plan: facts.planId };
}
