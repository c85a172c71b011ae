import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: startRequested,
  accepted: startAccepted,
  succeeded: startSucceeded,
  failed: startFailed,
} = operationEvents('start', {
  request: {
    wants: 'a stopped instance to run',
    direction: 'in',
    schema: v.strictObject(requestEntries),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'Asked for by the owner' },
  },
  exampleRefusal: {
    code: 'not-allowed',
    text: 'The subscription of instance k3n5q2x7a4bc has expired. Renew it, then start again.',
  },
  exampleUrl: 'https://acme.odoo.example',
});
export type StartRequested = InferData<typeof startRequested>;
