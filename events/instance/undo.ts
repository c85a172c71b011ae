import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: undoRequested,
  accepted: undoAccepted,
  succeeded: undoSucceeded,
  failed: undoFailed,
} = operationEvents('undo', {
  request: {
    wants: 'the termination of an instance undone within its window',
    direction: 'both',
    schema: v.strictObject(requestEntries),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'Terminated by mistake' },
  },
  exampleRefusal: {
    code: 'not-allowed',
    text: 'The data of instance k3n5q2x7a4bc was purged on 2026-10-01. Restore a backup into a new instance.',
  },
  exampleUrl: 'https://acme.odoo.example',
});
export type UndoRequested = InferData<typeof undoRequested>;
