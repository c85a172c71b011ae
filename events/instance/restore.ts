import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, succeededEventWith } from './operation-events.ts';

export const {
  requested: restoreRequested,
  accepted: restoreAccepted,
  failed: restoreFailed,
} = operationEvents('restore', {
  request: {
    wants: 'an instance put back to what a backup holds, or a restore undone',
    direction: 'both',
    schema: v.pipe(
      v.strictObject({
        ...requestEntries,
        /** Id of a backup of this instance. Exactly one of it and `undoes` is named. */
        backup: v.optional(fields.operationId),
        /** The operation of a restore whose old side is still kept: that side is live again. */
        undoes: v.optional(fields.operationId),
      }),
      v.forward(
        v.check(
          ({ backup, undoes }) => (backup === undefined) !== (undoes === undefined),
          'must be there, or "undoes" instead of it',
        ),
        ['backup'],
      ),
    ),
    example: {
      instance: 'k3n5q2x7a4bc',
      idempotencykey: 'order-7731',
      reason: 'Wrong import on Friday',
      backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
    },
  },
  exampleRefusal: { code: 'not-found', text: 'Instance k3n5q2x7a4bc has no such backup.' },
});

export const restoreSucceeded = defineEvent(
  succeededEventWith('restore', {
    summary: 'An instance is what a backup holds; what it was before is kept for a while.',
    entries: {
      /** The backup it was restored from; null when a restore was undone. */
      backup: v.nullable(fields.operationId),
      /** Until then it can be undone. */
      undoableuntil: fields.instant,
    },
    example: { backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', undoableuntil: '2027-02-03T10:00:00Z' },
  }),
);
export type RestoreRequested = InferData<typeof restoreRequested>;
