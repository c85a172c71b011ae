import { defineEvent } from '#events/envelope.ts';
import { instanceSubject } from '#events/subjects.ts';
import { exampleCommand, operationCommand, operationExtensions } from './command.ts';

/** Takes effect at the next step; an operation that succeeded is left alone. */
export const operationCancel = defineEvent({
  type: 'dev.odoofleet.operation.cancel',
  summary: 'Stop an operation and undo what it made and nobody used.',
  direction: 'both',
  schema: operationCommand,
  subject: instanceSubject,
  extensions: operationExtensions,
  example: { ...exampleCommand, reason: 'Order 7731 was withdrawn' },
});
