import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';

/** A hint of the tick's: which mails are due is in their rows. */
export const notificationDue = defineEvent({
  type: 'dev.odoofleet.notification.due',
  summary: 'Mails are due: send them.',
  direction: 'both',
  schema: v.strictObject({
    /** How many are due, as far as they were counted. */
    mails: fields.count,
    /** Who found them, such as `tick`. */
    by: fields.word,
  }),
  subject: { text: 'absent', strictness: 'optional', of: () => undefined },
  example: { mails: 3, by: 'tick' },
});
