import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: repairRequested,
  accepted: repairAccepted,
  succeeded: repairSucceeded,
  failed: repairFailed,
} = operationEvents('repair', {
  request: {
    wants: 'the world around an instance brought back to what its record says',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /** What was found amiss; the operation looks again and repairs what it finds then. */
      findings: v.optional(v.pipe(v.array(fields.word), v.maxLength(20, 'must list at most 20 findings'))),
    }),
    example: {
      instance: 'k3n5q2x7a4bc',
      idempotencykey: 'order-7731',
      reason: 'Found by the periodic check',
      findings: ['deployment-missing'],
    },
  },
  exampleRefusal: {
    code: 'not-found',
    text: 'There is no such instance among those you may name.',
  },
});
export type RepairRequested = InferData<typeof repairRequested>;
