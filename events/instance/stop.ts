import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: stopRequested,
  accepted: stopAccepted,
  succeeded: stopSucceeded,
  failed: stopFailed,
} = operationEvents('stop', {
  request: {
    wants: 'an instance to stop and to stay stopped',
    direction: 'in',
    schema: v.strictObject(requestEntries),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'Asked for by the owner' },
  },
  exampleRefusal: {
    code: 'not-found',
    text: 'There is no such instance among those you may name.',
  },
});
export type StopRequested = InferData<typeof stopRequested>;
