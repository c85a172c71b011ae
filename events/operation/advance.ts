import { defineEvent } from '#events/envelope.ts';
import { instanceSubject } from '#events/subjects.ts';
import { exampleCommand, operationCommand, operationExtensions } from './command.ts';

/** May be sent any number of times: an operation that cannot go on stays where it is. */
export const operationAdvance = defineEvent({
  type: 'dev.odoofleet.operation.advance',
  summary: 'Something an operation waits for may have happened: look and go on.',
  direction: 'both',
  schema: operationCommand,
  subject: instanceSubject,
  extensions: operationExtensions,
  example: { ...exampleCommand, reason: 'Deployment odoo-k3n5q2x7a4bc changed' },
});
