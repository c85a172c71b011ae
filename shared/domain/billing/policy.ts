import type { Subscription, SubscriptionFacts } from './subscription.ts';

/** What a plan says about bills that are not paid and subscriptions that end. */
export type BillingPolicy = {
  /** Days from the due date of the oldest open invoice until `onOverdue`. */
  graceDays: number;
  onOverdue: 'suspend' | 'nothing';
  onCancellation: 'terminate' | 'suspend' | 'nothing';
  onExpiry: 'terminate' | 'suspend' | 'nothing';
};

/** For a plan that has no row of its own; the defaults of the columns. */
export const defaultBillingPolicy: BillingPolicy = {
  graceDays: 14,
  onOverdue: 'suspend',
  onCancellation: 'terminate',
  onExpiry: 'terminate',
};

/**
 * The state of a subscription at a moment. `unpaid`: nothing was paid yet, or the first invoice after its trial is open,
 * and it is not past due. `grace`: past due, and borne for some days. `overdue`: for longer than that. `paused`: held by
 * the billing service, whatever is paid.
 */
export type SubscriptionState =
  | 'trial'
  | 'active'
  | 'unpaid'
  | 'grace'
  | 'overdue'
  | 'paused'
  | 'cancelled'
  | 'expired';

/** What becomes of a customer himself, as far as it concerns his instances. */
export type CustomerStanding = 'active' | 'deactivated' | 'deleted';

/**
 * What billing wants of an instance. `run`: nothing stands in its way. `keep`: it is left as it is, running or suspended;
 * who has been suspended pays all before he is back. Whether it then runs is for its own desired state to say.
 */
export type Wish = 'run' | 'keep' | 'suspend' | 'terminate';

/** The policy table: what each state asks for. */
const wishes: Readonly<Record<SubscriptionState, (policy: BillingPolicy) => Wish | 'nothing'>> = {
  trial: () => 'run',
  active: () => 'run',
  unpaid: () => 'keep',
  grace: ({ onOverdue }) => (onOverdue === 'nothing' ? 'nothing' : 'keep'),
  overdue: ({ onOverdue }) => onOverdue,
  paused: () => 'suspend',
  cancelled: ({ onCancellation }) => onCancellation,
  expired: ({ onExpiry }) => onExpiry,
};

const customerWishes: Readonly<Record<CustomerStanding, Wish | 'nothing'>> = {
  active: 'nothing',
  deactivated: 'suspend',
  deleted: 'terminate',
};

type TriedSubscription = SubscriptionFacts & Partial<Pick<Subscription, 'trial'>>;

const dayMs = 86_400_000;

/** The state at `now`, and when it changes by time alone: null when only an event changes it. */
export function stateOf(
  facts: TriedSubscription,
  policy: BillingPolicy,
  now: Date,
): { state: SubscriptionState; changesAt: Date | null } {
  const { ends, overdueSince } = facts;
  if (ends !== null && ends.at <= now) {
    return { state: ends.by === 'cancellation' ? 'cancelled' : 'expired', changesAt: null };
  }
  const endsAt = ends === null ? null : ends.at;
  if (facts.paused) return { state: 'paused', changesAt: endsAt };
  if (overdueSince === null) return { state: settledState(facts), changesAt: endsAt };
  const graceEnds = new Date(overdueSince.getTime() + policy.graceDays * dayMs);
  if (graceEnds <= now) return { state: 'overdue', changesAt: endsAt };
  return { state: 'grace', changesAt: endsAt !== null && endsAt < graceEnds ? endsAt : graceEnds };
}

/** A refused trial is as if it were to be paid from its first day. */
function settledState({ phase, paid, trial }: TriedSubscription): SubscriptionState {
  if (phase === 'trial') return trial === 'refused' ? 'unpaid' : 'trial';
  return paid ? 'active' : 'unpaid';
}

/** A subscription with the policy of its plan. */
export type GovernedSubscription = { facts: TriedSubscription; policy: BillingPolicy };

/** The state that decides for an instance: of a subscription or of its customer. `none`: billing knows nothing of it. */
export type BillingState = SubscriptionState | Exclude<CustomerStanding, 'active'> | 'none';

/** What the bills come to for one instance: the state that decides, and what it asks for. */
export type BillingStanding = { state: BillingState; wish: Wish };

// The worst decides. `unpaid` is below `active`: what was only just ordered does not hold up what is paid.
const ranks: Readonly<Record<SubscriptionState, number>> = {
  unpaid: 0,
  trial: 1,
  active: 2,
  grace: 3,
  overdue: 4,
  paused: 5,
  expired: 6,
  cancelled: 7,
};

/**
 * The standing of an instance: the worst of its subscriptions and of its customer. One that has ended counts only when
 * no other is left, so that a new subscription takes the place of an old one; while the new one is not paid yet, nothing
 * is done, and nothing that was stopped by the old one's end may start. A consequence `nothing` is as if it were paid.
 */
export function standingOf(
  subscriptions: readonly GovernedSubscription[],
  customer: CustomerStanding,
  now: Date,
): BillingStanding {
  const states = subscriptions.map(({ facts, policy }) => heldState(facts, policy, now));
  const ofBills = standingOfBills(states);
  const wish = customerWishes[customer];
  if (customer === 'active' || wish === 'nothing') return ofBills;
  return wish === 'suspend' && ofBills.wish === 'terminate' ? ofBills : { state: customer, wish };
}

function standingOfBills(states: readonly HeldState[]): BillingStanding {
  const isOver = ({ state }: HeldState) => state === 'cancelled' || state === 'expired';
  const living = worstOf(states.filter((one) => !isOver(one)));
  const ended = worstOf(states.filter(isOver));
  if (living === undefined) return ended ?? { state: 'none', wish: 'run' };
  return living.state === 'unpaid' && ended !== undefined ? { state: ended.state, wish: 'keep' } : living;
}

function worstOf(states: readonly HeldState[]): HeldState | undefined {
  return states.toSorted((one, other) => rankOf(other) - rankOf(one))[0];
}

type HeldState = { state: SubscriptionState; wish: Wish };

function heldState(
  facts: TriedSubscription,
  policy: BillingPolicy,
  now: Date,
): { state: SubscriptionState; wish: Wish } {
  const { state } = stateOf(facts, policy, now);
  const wish = wishes[state](policy);
  return wish === 'nothing' ? { state: 'active', wish: 'run' } : { state, wish };
}

/** Of two that have ended, the one that asks for more. */
function rankOf({ state, wish }: HeldState): number {
  return ranks[state] + (wish === 'terminate' ? 10 : 0);
}
