import { invoicePaid } from '#events/billing/invoice-paid.ts';
import { invoicePaymentFailed } from '#events/billing/invoice-payment-failed.ts';
import { overdueChanged } from '#events/billing/overdue-changed.ts';
import type { SubscriptionData } from '#events/billing/subscription.ts';
import { subscriptionCancelled } from '#events/billing/subscription-cancelled.ts';
import { subscriptionChanged } from '#events/billing/subscription-changed.ts';
import { subscriptionCreated } from '#events/billing/subscription-created.ts';
import { subscriptionExpired } from '#events/billing/subscription-expired.ts';
import { subscriptionPhaseChanged } from '#events/billing/subscription-phase-changed.ts';
import { subscriptionUncancelled } from '#events/billing/subscription-uncancelled.ts';
import { customerDeactivated } from '#events/customer/deactivated.ts';
import { customerDeleted } from '#events/customer/deleted.ts';
import { customerReactivated } from '#events/customer/reactivated.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { ensureCustomer } from '#shared/adapters/postgres/customers.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { changeInboxOutcome, recordEvent } from '#shared/adapters/postgres/inbox.ts';
import { listInstancesOf, lockBilling, saveStanding } from '#shared/adapters/postgres/subscriptions.ts';
import type { CustomerStanding } from '#shared/domain/billing/policy.ts';
import { decideInstances } from '#shared/runtime/billing/decide.ts';
import { reusedId } from '#shared/runtime/operation/accept.ts';
import type { Platform } from '#shared/runtime/platform.ts';
import { takeSubscription } from './subscription.ts';
import type { Taken } from './taken.ts';

const subscriptionEvents = [
  subscriptionCreated,
  subscriptionChanged,
  subscriptionPhaseChanged,
  subscriptionCancelled,
  subscriptionUncancelled,
  subscriptionExpired,
  invoicePaid,
  invoicePaymentFailed,
  overdueChanged,
] as const;
const customerEvents = [customerDeactivated, customerReactivated, customerDeleted] as const;

/** The events this function understands; nobody else gets them. */
export const billingEvents = [...subscriptionEvents, ...customerEvents] as const;
export type BillingEvent = TypedEvent<(typeof billingEvents)[number]>;

const standings: Readonly<Record<(typeof customerEvents)[number]['type'], CustomerStanding>> = {
  'dev.odoofleet.customer.deactivated': 'deactivated',
  'dev.odoofleet.customer.reactivated': 'active',
  'dev.odoofleet.customer.deleted': 'deleted',
};

export type BillingParts = Pick<Platform, 'database' | 'flush' | 'eventSource'>;

/**
 * Keeps what billing says and asks for the operations that follow. All in one transaction: the event is done when that
 * commits. The answer is what came of it: `applied`; `completed`, a late event that told what was not known yet;
 * `superseded`, one that changed nothing; `refused`; `duplicate`.
 * @throws Failure `reused-event-id` when the event's id came before with other data.
 */
export function billingHandler({ database, flush, eventSource }: BillingParts) {
  return async (event: BillingEvent, authority: { customerId: string | null }): Promise<string> => {
    const outcome = await database.transaction(async (transaction) => {
      const { source, id, type, dataHash } = event;
      const recorded = await recordEvent(transaction, {
        source,
        id,
        type,
        dataHash,
        operationId: null,
        outcome: 'applied',
      });
      if (recorded === 'other-data') throw reusedId(event);
      if (recorded !== 'new') return 'duplicate';
      const taken = await take(transaction, event, authority);
      await note(transaction, event, taken);
      if (taken.outcome === 'applied' || taken.outcome === 'completed') {
        await decideInstances(transaction, {
          customerId: event.data.customer,
          instanceIds: taken.instanceIds,
          eventSource,
          actor: source,
          causationId: id,
          isPayment: type === invoicePaid.type,
        });
      }
      return taken.outcome;
    });
    // A duplicate, too: what its first delivery wrote may not have been sent.
    await flush();
    return outcome;
  };
}

async function take(
  transaction: Queryable,
  event: BillingEvent,
  authority: { customerId: string | null },
): Promise<Taken> {
  const { customer } = event.data;
  if (authority.customerId !== null && authority.customerId !== customer) {
    return { outcome: 'refused', code: 'not-allowed', text: 'The source speaks for another customer.' };
  }
  await lockBilling(transaction, customer);
  if (isAboutCustomer(event)) return await takeStanding(transaction, event);
  const { data } = event as { data: SubscriptionData };
  return await takeSubscription(transaction, { source: event.source, id: event.id, data });
}

function isAboutCustomer(event: BillingEvent): event is TypedEvent<(typeof customerEvents)[number]> {
  return event.type in standings;
}

async function takeStanding(
  transaction: Queryable,
  event: TypedEvent<(typeof customerEvents)[number]>,
): Promise<Taken> {
  const { customer: customerId, sequence } = event.data;
  await ensureCustomer(transaction, customerId);
  const isNews = await saveStanding(transaction, {
    source: event.source,
    customerId,
    standing: standings[event.type],
    sequence,
    cause: event.id,
  });
  if (!isNews) return { outcome: 'superseded' };
  return { outcome: 'applied', instanceIds: await listInstancesOf(transaction, customerId) };
}

/** Every event leaves an entry, whatever came of it. */
async function note(transaction: Queryable, event: BillingEvent, taken: Taken): Promise<void> {
  const { source, id, type, data } = event;
  const refusal = taken.outcome === 'refused' ? { code: taken.code, text: taken.text } : {};
  if (taken.outcome !== 'applied') {
    const outcome = taken.outcome === 'refused' ? `refused: ${taken.code}` : taken.outcome;
    await changeInboxOutcome(transaction, event, { operationId: null, outcome });
  }
  const instance = 'instance' in data && data.instance !== undefined ? { instance: data.instance } : {};
  const subscription = 'subscription' in data ? { subscription: data.subscription } : {};
  const [instanceId = null] = 'instanceIds' in taken && taken.instanceIds.length === 1 ? taken.instanceIds : [];
  await appendAudit(transaction, {
    actor: source,
    action: `billing.${taken.outcome}`,
    // Of a refused event it is only what the sender claims.
    instanceId,
    detail: {
      event: id,
      type,
      customer: data.customer,
      sequence: data.sequence,
      ...subscription,
      ...instance,
      ...refusal,
    },
  });
}
