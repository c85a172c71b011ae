import { defineEvent } from '#events/envelope.ts';
import { customerSubject } from '#events/subjects.ts';
import { customerChange, exampleChange } from './change.ts';

/** His instances are terminated; that can be undone until their windows end. */
export const customerDeleted = defineEvent({
  type: 'dev.odoofleet.customer.deleted',
  summary: 'A customer was deleted.',
  direction: 'in',
  schema: customerChange,
  subject: customerSubject,
  example: exampleChange,
});
