import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** What becomes of the instance is decided by our own plan, not by the overdue states of the billing service. */
export const overdueChanged = defineEvent({
  type: 'dev.odoofleet.billing.overdue.changed',
  summary: 'A subscription came to have overdue invoices, or has none any more.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, paid: false, overduesince: '2027-01-10T10:00:00Z' },
});
