import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** Before the cancellation took effect nothing happens; after it the termination is undone while that is possible. */
export const subscriptionUncancelled = defineEvent({
  type: 'dev.odoofleet.billing.subscription.uncancelled',
  summary: 'A cancellation was withdrawn.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription },
});
