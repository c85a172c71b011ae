import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';

/** A hint and no more: what is so is read from the billing service. It may come any number of times, and be lost. */
export const accountRefresh = defineEvent({
  type: 'dev.odoofleet.billing.account.refresh',
  summary: 'Something may have changed at the billing service: look at the account there.',
  direction: 'both',
  schema: v.strictObject({ account: fields.billingId }),
  subject: { text: 'absent, or the account id', strictness: 'optional', of: (data) => data.account },
  example: { account: '6a2f8c1e-7d5b-4c3a-9e8f-0b1c2d3e4f5a' },
});
