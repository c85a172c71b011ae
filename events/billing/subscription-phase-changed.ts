import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** The first invoice of what was a trial may still be open; nothing is done until it is past due. */
export const subscriptionPhaseChanged = defineEvent({
  type: 'dev.odoofleet.billing.subscription.phase.changed',
  summary: 'A subscription went from its trial to being paid for.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, sequence: 3, paid: false },
});
