import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** A new plan counts for what follows; the instance keeps its size until it is resized. */
export const subscriptionChanged = defineEvent({
  type: 'dev.odoofleet.billing.subscription.changed',
  summary: 'A subscription changed: its plan, its instance or the configuration of its instance.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, plan: 'large' },
});
