import type { BillingState, Wish } from './policy.ts';

export const billingRequestKinds = ['provision', 'suspend', 'resume', 'terminate', 'undo'] as const;
export type BillingRequestKind = (typeof billingRequestKinds)[number];

/** What billing last asked of an instance, and what it believes to have brought about. */
export type LastRequest = {
  kind: BillingRequestKind;
  isSuspended: boolean;
  isTerminated: boolean;
  /** The operation's function has it, or sending it again was given up. */
  isSettled: boolean;
  /** Its function has refused it, less than a day ago, and not for being terminated: whatever came back is asked for anew. */
  isRefused: boolean;
  /** It was refused, or met one that somebody else had asked for, which answers for both. */
  isJoined: boolean;
};

/** What is known of an instance when it is decided about. */
export type InstanceFacts = {
  /** `foreign`: it is another customer's. */
  presence: 'absent' | 'own' | 'foreign';
  isTerminated: boolean;
  /** A suspension for billing is open, whoever asked for it. */
  isSuspended: boolean;
  last: LastRequest | undefined;
  /** Of the instance that its subscription wants made: nothing is known; what was asked for already; something else. */
  wantsMade: 'nothing' | 'as-asked' | 'anew';
  /** It is a payment that is decided about. */
  isPayment: boolean;
};

export type NextRequest = Pick<LastRequest, 'kind' | 'isSuspended' | 'isTerminated'>;

/**
 * The operation to ask for, or undefined. Each change of the wish is asked for once: one that is refused is not asked
 * for again until the wish has changed, so that nothing goes round in circles; a suspension once a day at most. Pure.
 */
export function nextRequest(wish: Wish, facts: InstanceFacts): NextRequest | undefined {
  const { last } = facts;
  if (facts.presence === 'foreign') return undefined;
  if (facts.presence === 'absent') {
    return mayProvision(wish, facts) ? { kind: 'provision', isSuspended: false, isTerminated: false } : undefined;
  }
  // These two carry no order of their own: the second must not overtake the first.
  if (last !== undefined && !last.isSettled && (last.kind === 'terminate' || last.kind === 'undo')) return undefined;
  const { isSuspended = false, isTerminated = false } = last ?? {};
  if (wish === 'terminate') {
    return isTerminated || facts.isTerminated ? undefined : { kind: 'terminate', isSuspended, isTerminated: true };
  }
  if (isTerminated || facts.isTerminated) {
    return wish === 'run' && isEndedByBilling(last) ? { kind: 'undo', isSuspended, isTerminated: false } : undefined;
  }
  if (wish === 'suspend') {
    return isSuspended && mayStand(facts) ? undefined : { kind: 'suspend', isSuspended: true, isTerminated };
  }
  const mayLook = facts.isPayment || last?.kind === 'undo';
  if (wish === 'run' && (isSuspended || (mayLook && facts.isSuspended))) {
    return { kind: 'resume', isSuspended: false, isTerminated };
  }
  return undefined;
}

/** Only what billing has ended comes back by a payment; what a person has terminated, perhaps first, stays so. */
function isEndedByBilling(last: LastRequest | undefined): boolean {
  return last?.isTerminated === true && !(last.kind === 'terminate' && last.isJoined);
}

/**
 * Does the suspension that billing believes in stand, or may it yet? One that was carried out and is open no more was
 * lifted by somebody, as is allowed in a grace period: what is still owed at its end suspends again.
 */
function mayStand({ isSuspended, last }: InstanceFacts): boolean {
  if (isSuspended || last === undefined || !last.isSettled) return true;
  return last.kind === 'suspend' && last.isRefused;
}

/** Once for each configuration: one that was refused is asked for again when it has changed. */
function mayProvision(wish: Wish, { wantsMade, last }: InstanceFacts): boolean {
  return wish === 'run' && wantsMade === 'anew' && (last === undefined || last.isSettled);
}

const texts: Readonly<Record<BillingState, string>> = {
  none: 'Nothing is open any more',
  trial: 'Its subscription is in its trial',
  active: 'Its subscription is paid',
  unpaid: 'Its subscription is not paid yet',
  grace: 'Its subscription has an overdue invoice',
  overdue: 'Its subscription is overdue, and the grace period is over',
  paused: 'Its subscription is paused',
  cancelled: 'Its subscription was cancelled',
  expired: 'Its subscription has expired',
  deactivated: 'Its customer was deactivated',
  deleted: 'Its customer was deleted',
};

/** Why billing asks, for people who read the record. */
export function reasonOf(state: BillingState): string {
  return texts[state];
}
