import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: purgeRequested,
  accepted: purgeAccepted,
  succeeded: purgeSucceeded,
  failed: purgeFailed,
} = operationEvents('purge', {
  request: {
    wants: 'the data of a terminated instance destroyed',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /** Nothing can bring the data back then. */
      withoutbackup: v.optional(v.boolean()),
    }),
    example: {
      instance: 'k3n5q2x7a4bc',
      idempotencykey: 'order-7731',
      reason: 'The undo window ended',
      withoutbackup: true,
    },
  },
  exampleRefusal: {
    code: 'not-allowed',
    text: 'There is no proven final backup of instance k3n5q2x7a4bc. Make one, or say withoutbackup.',
  },
});
export type PurgeRequested = InferData<typeof purgeRequested>;
