import { defineEvent } from '#events/envelope.ts';
import { customerSubject } from '#events/subjects.ts';
import { customerChange, exampleChange } from './change.ts';

/** Takes back what his deactivation or deletion brought about, while that is possible. */
export const customerReactivated = defineEvent({
  type: 'dev.odoofleet.customer.reactivated',
  summary: 'A customer was reactivated.',
  direction: 'in',
  schema: customerChange,
  subject: customerSubject,
  example: exampleChange,
});
