import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** Another invoice may still be open: the state it carries says so. */
export const invoicePaid = defineEvent({
  type: 'dev.odoofleet.billing.invoice.paid',
  summary: 'An invoice was paid in full.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries, invoice: fields.billingId }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, instance: 'k3n5q2x7a4bc', invoice: 'i-88' },
});
