import type { SubscriptionData } from '#events/billing/subscription.ts';
import type { AccountView, PaymentNews, SubscriptionState } from './view.ts';

export type AnnouncedType =
  | 'subscription.created'
  | 'subscription.changed'
  | 'subscription.phase.changed'
  | 'subscription.cancelled'
  | 'subscription.uncancelled'
  | 'subscription.expired'
  | 'invoice.paid'
  | 'invoice.payment.failed'
  | 'overdue.changed';

/** One event about a subscription, without the part of its type that all share. */
export type Announcement = { type: AnnouncedType; data: SubscriptionData & { invoice?: string } };

/** What was said of the account's subscriptions before. */
export type Told = {
  states: ReadonlyMap<string, { sequence: number; state: SubscriptionState }>;
  payments: ReadonlySet<string>;
};

export type Saying = {
  announcements: Announcement[];
  /** Subscriptions of which something new was said, with the highest number. */
  states: { id: string; sequence: number; state: SubscriptionState }[];
  /** Payments that are told with this, or need not be told. */
  payments: string[];
};

/** Older payments are history, and nobody is told of them: an account may be looked at for the first time. */
const newsMs = 7 * 86_400_000;

/**
 * The events between what was said before and what is. Each carries the whole state and a number of its own. It does not
 * matter which notifications came, in which order and how often: when nothing has changed, nothing is said. Pure.
 */
export function announcementsOf(view: AccountView, told: Told, now: Date): Saying {
  const fresh = view.payments.filter(
    ({ name, at }) => !told.payments.has(name) && now.getTime() - at.getTime() < newsMs,
  );
  const saying: Saying = { announcements: [], states: [], payments: fresh.map(({ name }) => name) };
  for (const { state, isOver } of view.subscriptions) {
    const before = told.states.get(state.subscription);
    // It was over before we heard of it.
    if (before === undefined && isOver) continue;
    const payments = fresh.filter(({ subscriptions }) => subscriptions.includes(state.subscription));
    const said = saidOf(before?.state, state, payments);
    if (said.length === 0) continue;
    const first = (before?.sequence ?? 0) + 1;
    said.forEach(({ type, invoice }, index) => {
      const data = { ...state, sequence: first + index };
      saying.announcements.push({ type, data: invoice === undefined ? data : { ...data, invoice } });
    });
    saying.states.push({ id: state.subscription, sequence: first + said.length - 1, state });
  }
  return saying;
}

type Said = { type: AnnouncedType; invoice?: string };

function saidOf(
  before: SubscriptionState | undefined,
  now: SubscriptionState,
  payments: readonly PaymentNews[],
): Said[] {
  const paid = payments
    .filter(({ kind }) => kind === 'paid')
    .map(({ invoice }): Said => ({ type: 'invoice.paid', invoice }));
  // Paid meanwhile, or past due for no reason of its own: the state says what is.
  const failed = payments
    .filter(({ kind }) => kind === 'failed' && now.overduesince !== null)
    .map(({ invoice }): Said => ({ type: 'invoice.payment.failed', invoice }));
  if (before === undefined) return [{ type: 'subscription.created' }, ...failed, ...paid];
  const isTold = paid.length + failed.length > 0;
  const changed = changesOf(before, now).filter(({ type }) => !(isTold && type === 'overdue.changed'));
  // A payment goes before what came with it: it is what lets an instance run again, and is to do so once.
  return [...failed, ...paid, ...changed];
}

function changesOf(before: SubscriptionState, now: SubscriptionState): Said[] {
  const types: AnnouncedType[] = [];
  if (!isSame(before.ends, now.ends)) types.push(endingOf(now));
  if (before.phase !== now.phase) types.push('subscription.phase.changed');
  if (before.overduesince !== now.overduesince || before.paid !== now.paid) types.push('overdue.changed');
  const rest = ({ plan, instance, configuration, paused }: SubscriptionState) => ({
    plan,
    instance,
    configuration,
    paused: paused ?? false,
  });
  if (!isSame(rest(before), rest(now))) types.push('subscription.changed');
  return types.map((type) => ({ type }));
}

function endingOf({ ends }: SubscriptionState): AnnouncedType {
  if (ends === null) return 'subscription.uncancelled';
  return ends.by === 'cancellation' ? 'subscription.cancelled' : 'subscription.expired';
}

/** JSON values: members in any order, and one without a value is as if it were not there. */
function isSame(one: unknown, other: unknown): boolean {
  return written(one) === written(other);
}

function written(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([name], [next]) => (name < next ? -1 : 1)))
      : part,
  );
}
