import { Failure } from '../failure.ts';
import type { BillingState } from './policy.ts';

const reasons: Readonly<Record<BillingState, string | undefined>> = {
  none: undefined,
  trial: undefined,
  active: undefined,
  unpaid: undefined,
  grace: undefined,
  overdue: 'Its subscription has an overdue invoice. Pay what is open; it then runs again by itself.',
  paused: 'Its subscription is paused. Let it go on at the billing service; it then runs again by itself.',
  cancelled: 'Its subscription was cancelled. Take out a new one for it and pay it, then ask again.',
  expired: 'Its subscription has expired. Renew it and pay, then ask again.',
  deactivated: 'Its customer is deactivated. Reactivate him; it then runs again by itself.',
  deleted: 'Its customer was deleted. Reactivate him first.',
};

/** Why bills keep an instance from running, as a refusal; undefined when they do not. Pure. */
export function refuseByBilling(state: BillingState): Failure | undefined {
  const reason = reasons[state];
  return reason === undefined ? undefined : new Failure('not-allowed', reason, { facts: { billing: state } });
}
