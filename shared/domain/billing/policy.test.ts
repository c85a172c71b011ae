import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BillingPolicy,
  type CustomerStanding,
  defaultBillingPolicy,
  type GovernedSubscription,
  standingOf,
  stateOf,
} from './policy.ts';
import type { SubscriptionFacts } from './subscription.ts';

const now = new Date('2027-01-15T12:00:00Z');
const days = (count: number) => new Date(now.getTime() + count * 86_400_000);

/** Facts that give each state under a grace of 14 days. */
const factsOf: Record<ReturnType<typeof stateOf>['state'], Partial<SubscriptionFacts>> = {
  trial: { phase: 'trial', paid: false },
  active: {},
  unpaid: { paid: false },
  grace: { paid: false, overdueSince: days(-13) },
  overdue: { paid: false, overdueSince: days(-14) },
  paused: { paused: true },
  cancelled: { ends: { at: now, by: 'cancellation' } },
  expired: { ends: { at: now, by: 'expiry' } },
};
type State = keyof typeof factsOf;

function facts(change: Partial<SubscriptionFacts> = {}): SubscriptionFacts {
  return { planId: 'small', phase: 'evergreen', paid: true, overdueSince: null, ends: null, paused: false, ...change };
}
function governed(state: State, policy: Partial<BillingPolicy> = {}): GovernedSubscription {
  return { facts: facts(factsOf[state]), policy: { ...defaultBillingPolicy, ...policy } };
}
const standing = (subscriptions: GovernedSubscription[], customer: CustomerStanding = 'active') =>
  standingOf(subscriptions, customer, now);

describe('the state of a subscription', () => {
  test.each(Object.keys(factsOf) as State[])('is %s by its facts', (state) => {
    expect(stateOf(facts(factsOf[state]), defaultBillingPolicy, now).state).toBe(state);
  });

  test('is active up to the moment of an effective cancellation, and changes then by itself', () => {
    const ends = { at: days(3), by: 'cancellation' } as const;
    expect(stateOf(facts({ ends }), defaultBillingPolicy, now)).toEqual({ state: 'active', changesAt: days(3) });
    expect(stateOf(facts({ ends }), defaultBillingPolicy, days(3))).toEqual({ state: 'cancelled', changesAt: null });
  });

  test('is borne for the days of grace of its plan, and changes then by itself', () => {
    const late = facts({ overdueSince: days(-1) });
    expect(stateOf(late, { ...defaultBillingPolicy, graceDays: 3 }, now)).toEqual({
      state: 'grace',
      changesAt: days(2),
    });
    expect(stateOf(late, { ...defaultBillingPolicy, graceDays: 0 }, now)).toEqual({
      state: 'overdue',
      changesAt: null,
    });
  });

  test('changes at the earlier of the end of its grace and its own end', () => {
    const ends = { at: days(1), by: 'expiry' } as const;
    expect(stateOf(facts({ overdueSince: days(-1), ends }), defaultBillingPolicy, now).changesAt).toEqual(days(1));
    expect(stateOf(facts({ overdueSince: days(-20), ends }), defaultBillingPolicy, now)).toEqual({
      state: 'overdue',
      changesAt: days(1),
    });
  });

  test('never changes by itself at a moment that is past, so that nothing is due for ever', () => {
    const moment = fc.integer({ min: -60, max: 60 }).map(days);
    const any = fc.record({
      overdueSince: fc.option(moment),
      ends: fc.option(fc.record({ at: moment, by: fc.constantFrom('cancellation' as const, 'expiry' as const) })),
      phase: fc.constantFrom('trial' as const, 'evergreen' as const),
      paid: fc.boolean(),
      paused: fc.boolean(),
    });
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 30 }), (change, graceDays) => {
        const { changesAt } = stateOf(facts(change), { ...defaultBillingPolicy, graceDays }, now);
        expect(changesAt === null || changesAt > now).toBe(true);
      }),
    );
  });
});

describe('what a state asks for', () => {
  test.each([
    ['trial', {}, 'run'],
    ['active', {}, 'run'],
    ['unpaid', {}, 'keep'],
    ['grace', { onOverdue: 'suspend' }, 'keep'],
    ['grace', { onOverdue: 'nothing' }, 'run'],
    ['overdue', { onOverdue: 'suspend' }, 'suspend'],
    ['overdue', { onOverdue: 'nothing' }, 'run'],
    ['paused', { onOverdue: 'nothing' }, 'suspend'],
    ['cancelled', { onCancellation: 'terminate' }, 'terminate'],
    ['cancelled', { onCancellation: 'suspend' }, 'suspend'],
    ['cancelled', { onCancellation: 'nothing' }, 'run'],
    ['expired', { onExpiry: 'terminate' }, 'terminate'],
    ['expired', { onExpiry: 'suspend' }, 'suspend'],
    ['expired', { onExpiry: 'nothing' }, 'run'],
  ] as const)('%s under %j: %s', (state, policy, wish) => {
    expect(standing([governed(state, policy)]).wish).toBe(wish);
  });

  test.each([
    ['active', 'active', 'run'],
    ['active', 'deactivated', 'suspend'],
    ['active', 'deleted', 'terminate'],
    ['overdue', 'deactivated', 'suspend'],
    ['cancelled', 'deactivated', 'terminate'],
    ['cancelled', 'deleted', 'terminate'],
  ] as const)('%s of a customer who is %s: %s', (state, customer, wish) => {
    expect(standing([governed(state)], customer).wish).toBe(wish);
  });

  test('nothing at all is known: nothing is held up', () => {
    expect(standing([])).toEqual({ state: 'none', wish: 'run' });
    expect(standing([], 'deactivated')).toEqual({ state: 'deactivated', wish: 'suspend' });
  });
});

describe('of several subscriptions', () => {
  test.each([
    [['active', 'overdue'], 'overdue', 'suspend'],
    [['overdue', 'active'], 'overdue', 'suspend'],
    [['active', 'grace'], 'grace', 'keep'],
    [['active', 'unpaid'], 'active', 'run'],
    [['trial', 'unpaid'], 'trial', 'run'],
    [['active', 'cancelled'], 'active', 'run'],
    [['overdue', 'expired'], 'overdue', 'suspend'],
    [['paused', 'active'], 'paused', 'suspend'],
    [['paused', 'cancelled'], 'paused', 'suspend'],
    [['unpaid', 'cancelled'], 'cancelled', 'keep'],
    [['expired', 'cancelled'], 'cancelled', 'terminate'],
  ] as const)('%j the worst decides, and an ended one only when no other is left', (states, state, wish) => {
    expect(standing(states.map((one) => governed(one)))).toEqual({ state, wish });
  });

  test('one whose plan does nothing counts as paid', () => {
    expect(standing([governed('overdue', { onOverdue: 'nothing' }), governed('trial')]).wish).toBe('run');
    expect(standing([governed('overdue', { onOverdue: 'nothing' })]).state).toBe('active');
  });

  test('of two that have ended the one that asks for more decides', () => {
    const ended = [governed('cancelled', { onCancellation: 'suspend' }), governed('expired')];
    expect(standing(ended)).toEqual({ state: 'expired', wish: 'terminate' });
  });
});
