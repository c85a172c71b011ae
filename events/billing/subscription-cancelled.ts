import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { endsBy, exampleSubscription, subscriptionEntries } from './subscription.ts';

/** Takes effect when `ends.at` has come, and not before. */
export const subscriptionCancelled = defineEvent({
  type: 'dev.odoofleet.billing.subscription.cancelled',
  summary: 'A subscription was cancelled: now, or for the end of its term.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries, ends: endsBy('cancellation') }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, ends: { at: '2027-01-31T10:00:00Z', by: 'cancellation' } },
});
