import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: terminateRequested,
  accepted: terminateAccepted,
  succeeded: terminateSucceeded,
  failed: terminateFailed,
} = operationEvents('terminate', {
  request: {
    wants: 'an instance gone; it can be undone until its window ends',
    direction: 'both',
    schema: v.strictObject(requestEntries),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'The subscription ended' },
  },
  exampleRefusal: {
    code: 'not-found',
    text: 'There is no such instance among those you may name.',
  },
});
export type TerminateRequested = InferData<typeof terminateRequested>;
