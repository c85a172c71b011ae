import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** The plan says for how long that is borne. */
export const invoicePaymentFailed = defineEvent({
  type: 'dev.odoofleet.billing.invoice.payment.failed',
  summary: 'A payment for an invoice failed.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries, overduesince: fields.instant, invoice: fields.billingId }),
  subject: subscriptionSubject,
  example: { ...exampleSubscription, paid: false, overduesince: '2027-01-10T10:00:00Z', invoice: 'i-88' },
});
