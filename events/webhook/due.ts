import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';

/** A hint of the tick's: which deliveries are due is in their rows. */
export const webhookDue = defineEvent({
  type: 'dev.odoofleet.webhook.due',
  summary: 'Deliveries to endpoints of customers are due: send them.',
  direction: 'both',
  schema: v.strictObject({
    /** How many are due, as far as they were counted. */
    deliveries: fields.count,
    /** Who found them, such as `tick`. */
    by: fields.word,
  }),
  subject: { text: 'absent', strictness: 'optional', of: () => undefined },
  example: { deliveries: 12, by: 'tick' },
});
