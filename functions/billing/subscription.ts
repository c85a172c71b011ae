import type { SubscriptionData } from '#events/billing/subscription.ts';
import { ensureCustomer } from '#shared/adapters/postgres/customers.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import {
  findOwner,
  findSubscription,
  hasOtherSubscription,
  saveSubscription,
} from '#shared/adapters/postgres/subscriptions.ts';
import { applyNews, type Subscription, type SubscriptionNews, unheardOf } from '#shared/domain/billing/subscription.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import type { Taken } from './taken.ts';

type SubscriptionEvent = { source: string; id: string; data: SubscriptionData };

/** Holds what the event says of its subscription. The caller holds the customer's billing lock. */
export async function takeSubscription(transaction: Queryable, event: SubscriptionEvent): Promise<Taken> {
  const { source, data } = event;
  const name = { source, id: data.subscription, customerId: data.customer };
  const known = (await findSubscription(transaction, name)) ?? unheardOf(name);
  if (known.customerId !== data.customer) return notTheCustomers('Subscription', data.subscription);
  const derivedId = deriveInstanceId(source, `subscription ${data.subscription}`);
  const applied = applyNews(known, newsOf(event), derivedId);
  if (applied.outcome === 'other-instance') {
    const text = `Subscription ${data.subscription} pays for instance ${known.instanceId}, for life. Take out another.`;
    return { outcome: 'refused', code: 'invalid-request', text };
  }
  const { subscription } = applied;
  const { instanceId } = subscription;
  const owner = instanceId === null ? undefined : await findOwner(transaction, instanceId);
  if (instanceId !== null && owner !== undefined && owner !== data.customer) {
    return notTheCustomers('Instance', instanceId);
  }
  if (applied.outcome === 'superseded') return { outcome: 'superseded' };
  await ensureCustomer(transaction, data.customer);
  await saveSubscription(transaction, { ...subscription, trial: await trialOf(transaction, subscription) });
  return { outcome: applied.outcome, instanceIds: instanceId === null ? [] : [instanceId] };
}

/** One for life, and none beside what is paid: whoever asks for a second one pays before he gets an instance. */
async function trialOf(transaction: Queryable, subscription: Subscription): Promise<Subscription['trial']> {
  if (subscription.phase !== 'trial' || subscription.trial !== null) return subscription.trial;
  return (await hasOtherSubscription(transaction, subscription)) ? 'refused' : 'granted';
}

/** The same whether it is not there or another's. */
function notTheCustomers(what: string, id: string): Taken {
  return { outcome: 'refused', code: 'not-found', text: `${what} ${id} is not among the customer's.` };
}

function newsOf({ id, data }: SubscriptionEvent): SubscriptionNews {
  return {
    planId: data.plan,
    phase: data.phase,
    paid: data.paid,
    overdueSince: data.overduesince === null ? null : new Date(data.overduesince),
    ends: data.ends === null ? null : { at: new Date(data.ends.at), by: data.ends.by },
    paused: data.paused ?? false,
    sequence: data.sequence,
    cause: id,
    instanceId: data.instance,
    configuration: data.configuration,
  };
}
