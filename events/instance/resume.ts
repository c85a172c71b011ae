import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, suspensionCause } from './operation-events.ts';

export const {
  requested: resumeRequested,
  accepted: resumeAccepted,
  succeeded: resumeSucceeded,
  failed: resumeFailed,
} = operationEvents('resume', {
  request: {
    wants: 'one reason to keep an instance from running withdrawn',
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
      sequence: 13,
      reason: 'Invoice 88 was paid',
    },
  },
  exampleRefusal: {
    code: 'not-allowed',
    text: 'Instance k3n5q2x7a4bc has an unpaid invoice left. Pay it; the instance then starts by itself.',
  },
  exampleUrl: 'https://acme.odoo.example',
});
export type ResumeRequested = InferData<typeof resumeRequested>;
