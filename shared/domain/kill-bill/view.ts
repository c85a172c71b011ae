import * as v from 'valibot';
import type { SubscriptionData } from '#events/billing/subscription.ts';
import * as fields from '#events/fields.ts';
import type { KillBillAccount, KillBillInvoice, KillBillSubscription } from './account.ts';
import { readFields } from './configuration.ts';

/** The state of a subscription in the words of our events. */
export type SubscriptionState = Omit<SubscriptionData, 'sequence'>;

/** A payment that was made, or was tried in vain. `name` is its own for ever. */
export type PaymentNews = { name: string; kind: 'paid' | 'failed'; invoice: string; at: Date; subscriptions: string[] };

/** What an account comes to. */
export type AccountView = {
  customerId: string | null;
  subscriptions: readonly { state: SubscriptionState; isOver: boolean }[];
  payments: readonly PaymentNews[];
  /** When time alone makes something of it past due. */
  changesAt: Date | null;
  /** A subscription lives that names neither an instance nor what one is to be made of: its fields may come later. */
  isIncomplete: boolean;
  /** What a person has to mend, in sentences. */
  problems: readonly string[];
};

export type ViewOptions = {
  now: Date;
  /** Days an invoice may be open before it is past due. A failed payment makes it so at once. */
  dueDays: number;
};

const dayMs = 86_400_000;

/** Everything our events say of an account, from what Kill Bill holds and from nothing else. Pure. */
export function viewAccount(account: KillBillAccount, options: ViewOptions): AccountView {
  const customer = v.safeParse(fields.customerId, account.externalKey);
  if (!customer.success) {
    const problem = 'The account has no externalKey that is the id of a customer.';
    return {
      customerId: null,
      subscriptions: [],
      payments: [],
      changesAt: null,
      isIncomplete: false,
      problems: [problem],
    };
  }
  const ours = account.subscriptions.filter(
    ({ productCategory, state }) => productCategory !== 'ADD_ON' && state !== 'PENDING',
  );
  const viewed = ours.map((one) => viewSubscription(one, account, { ...options, customer: customer.output }));
  const dueTimes = account.invoices
    .filter(isOpen)
    .map((invoice) => dueAt(invoice, options.dueDays))
    .filter((at) => at > options.now);
  return {
    customerId: customer.output,
    subscriptions: viewed.flatMap(({ state, isOver }) => (state === undefined ? [] : [{ state, isOver }])),
    payments: paymentsOf(
      account,
      ours.map(({ id }) => id),
    ),
    changesAt: dueTimes.toSorted((one, other) => one.getTime() - other.getTime())[0] ?? null,
    isIncomplete: viewed.some((one) => one.isIncomplete),
    problems: viewed.flatMap(({ problem }) => problem ?? []),
  };
}

type Viewed = { state?: SubscriptionState; isOver: boolean; isIncomplete: boolean; problem?: string };

function viewSubscription(
  subscription: KillBillSubscription,
  account: KillBillAccount,
  options: ViewOptions & { customer: string },
): Viewed {
  const { id } = subscription;
  const isOver = subscription.state === 'CANCELLED' || subscription.state === 'EXPIRED';
  const plan = subscription.planName.toLowerCase().replaceAll(/[^a-z0-9.-]/g, '-');
  if (!v.is(fields.slug, plan)) {
    return {
      isOver,
      isIncomplete: false,
      problem: `The plan of subscription ${id} cannot be the id of a plan of ours.`,
    };
  }
  const read = readFields(account.fields.filter((field) => field.subscriptionId === id));
  const isTrial = subscription.phaseType === 'TRIAL';
  const overdueSince = overdueSinceOf(id, account, options);
  const state: SubscriptionState = {
    subscription: id,
    customer: options.customer,
    plan,
    phase: isTrial ? 'trial' : 'evergreen',
    paid: overdueSince === null && hasPaid(id, account),
    overduesince: overdueSince?.toISOString() ?? null,
    ends: endsOf(subscription),
    ...(subscription.state === 'BLOCKED' ? { paused: true } : {}),
    ...(read.instance === undefined ? {} : { instance: read.instance }),
    ...(read.configuration === undefined ? {} : { configuration: read.configuration }),
  };
  const isIncomplete = !isOver && read.instance === undefined && read.configuration === undefined;
  const problem = read.problem === undefined ? {} : { problem: `Subscription ${id}: ${read.problem}` };
  return { state, isOver, isIncomplete, ...problem };
}

function isOpen({ status, balance }: KillBillInvoice): boolean {
  return status === 'COMMITTED' && balance > 0;
}

/** An invoice that names no subscription is every one's. */
function isFor(subscriptionId: string, { items }: KillBillInvoice): boolean {
  const named = items.flatMap((item) => item.subscriptionId ?? []);
  return named.length === 0 || named.includes(subscriptionId);
}

function overdueSinceOf(subscriptionId: string, account: KillBillAccount, { now, dueDays }: ViewOptions): Date | null {
  const failed = new Set(
    account.payments
      .filter(({ transactions }) => transactions.some(({ outcome }) => outcome === 'failed'))
      .map(({ invoiceId }) => invoiceId),
  );
  const since = account.invoices
    .filter((invoice) => isOpen(invoice) && isFor(subscriptionId, invoice))
    .map((invoice) => dueAt(invoice, failed.has(invoice.id) ? 0 : dueDays))
    .filter((at) => at <= now);
  return since.toSorted((one, other) => one.getTime() - other.getTime())[0] ?? null;
}

function dueAt({ date }: KillBillInvoice, dueDays: number): Date {
  return new Date(Date.parse(`${date.slice(0, 10)}T00:00:00Z`) + dueDays * dayMs);
}

/** The invoice of a trial is paid from the beginning: it is over nothing. */
function hasPaid(subscriptionId: string, { invoices }: KillBillAccount): boolean {
  return invoices.some(
    ({ status, balance, items }) =>
      status === 'COMMITTED' &&
      balance <= 0 &&
      items.some((item) => item.subscriptionId === subscriptionId && !/-trial$/i.test(item.phaseName ?? '')),
  );
}

/**
 * A day that is named before it takes effect counts until its end: Kill Bill's days are those of the account's own time
 * zone, and nobody is to lose his instance hours early. Once it took effect Kill Bill says so by the state.
 */
function endsOf({ state, cancelledDate, billingEndDate, startDate }: KillBillSubscription): SubscriptionState['ends'] {
  const isOver = state === 'CANCELLED' || state === 'EXPIRED';
  const named = (state === 'EXPIRED' ? billingEndDate : undefined) ?? cancelledDate ?? billingEndDate;
  const at = named ?? (isOver ? startDate : null);
  if (at === null) return null;
  return { at: momentOf(at, isOver ? '00:00:00' : '23:59:59'), by: state === 'EXPIRED' ? 'expiry' : 'cancellation' };
}

function momentOf(at: string, time: string): string {
  const moment = new Date(/^\d{4}-\d{2}-\d{2}$/.test(at) ? `${at}T${time}Z` : at);
  return moment.toISOString();
}

function paymentsOf({ invoices, payments }: KillBillAccount, subscriptions: readonly string[]): PaymentNews[] {
  return invoices
    .filter(({ status }) => status === 'COMMITTED')
    .flatMap((invoice) => {
      const concerned = subscriptions.filter((id) => isFor(id, invoice));
      const tries = payments.filter(({ invoiceId }) => invoiceId === invoice.id).flatMap((one) => one.transactions);
      const news = (kind: 'paid' | 'failed', id: string, at: Date): PaymentNews => ({
        name: `${kind} ${id}`,
        kind,
        invoice: invoice.id,
        at,
        subscriptions: concerned,
      });
      if (isOpen(invoice)) {
        return tries.filter(({ outcome }) => outcome === 'failed').map(({ id, at }) => news('failed', id, at));
      }
      const paid = tries
        .filter(({ outcome }) => outcome === 'paid')
        .toSorted((a, b) => b.at.getTime() - a.at.getTime());
      return paid.slice(0, 1).map(({ at }) => news('paid', invoice.id, at));
    });
}
