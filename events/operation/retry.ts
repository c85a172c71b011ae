import { defineEvent } from '#events/envelope.ts';
import { instanceSubject } from '#events/subjects.ts';
import { exampleCommand, operationCommand, operationExtensions } from './command.ts';

/**
 * Does nothing for an operation that is not failed, unless it was begun by a release that its function does not know: then it
 * is begun anew by this one.
 */
export const operationRetry = defineEvent({
  type: 'dev.odoofleet.operation.retry',
  summary: 'Continue a failed operation at the step where it stopped.',
  direction: 'both',
  schema: operationCommand,
  subject: instanceSubject,
  extensions: operationExtensions,
  example: { ...exampleCommand, reason: 'Asked for by operator jane' },
});
