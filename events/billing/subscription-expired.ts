import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { endsBy, exampleSubscription, subscriptionEntries } from './subscription.ts';

/** What then becomes of the instance is for the plan to say. */
export const subscriptionExpired = defineEvent({
  type: 'dev.odoofleet.billing.subscription.expired',
  summary: 'A subscription reached its end.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries, ends: endsBy('expiry') }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, ends: { at: '2027-01-31T10:00:00Z', by: 'expiry' } },
});
