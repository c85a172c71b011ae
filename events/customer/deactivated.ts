import { defineEvent } from '#events/envelope.ts';
import { customerSubject } from '#events/subjects.ts';
import { customerChange, exampleChange } from './change.ts';

/** His instances are suspended. */
export const customerDeactivated = defineEvent({
  type: 'dev.odoofleet.customer.deactivated',
  summary: 'A customer was deactivated.',
  direction: 'in',
  schema: customerChange,
  subject: customerSubject,
  example: exampleChange,
});
