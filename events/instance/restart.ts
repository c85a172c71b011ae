import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: restartRequested,
  accepted: restartAccepted,
  succeeded: restartSucceeded,
  failed: restartFailed,
} = operationEvents('restart', {
  request: {
    wants: 'the processes of a running instance to be replaced',
    direction: 'in',
    schema: v.strictObject(requestEntries),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'Asked for by the owner' },
  },
  exampleRefusal: {
    code: 'not-allowed',
    text: 'Instance k3n5q2x7a4bc is suspended because of billing. Pay what is open; it then starts by itself.',
  },
  exampleUrl: 'https://acme.odoo.example',
});
export type RestartRequested = InferData<typeof restartRequested>;
