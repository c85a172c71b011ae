import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, suspensionCause } from './operation-events.ts';

export const {
  requested: suspendRequested,
  accepted: suspendAccepted,
  succeeded: suspendSucceeded,
  failed: suspendFailed,
} = operationEvents('suspend', {
  request: {
    wants: 'an instance kept from running until the reason is gone',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      cause: suspensionCause,
      /** The source's own order of suspends and resumes of this instance; an older one changes nothing. */
      sequence: v.optional(fields.count),
    }),
    example: {
      instance: 'k3n5q2x7a4bc',
      idempotencykey: 'order-7731',
      cause: 'billing',
      sequence: 12,
      reason: 'Payment is 15 days late',
    },
  },
  exampleRefusal: {
    code: 'not-found',
    text: 'There is no such instance among those you may name.',
  },
});
export type SuspendRequested = InferData<typeof suspendRequested>;
