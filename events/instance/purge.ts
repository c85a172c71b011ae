import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, succeededEventWith } from './operation-events.ts';

export const {
  requested: purgeRequested,
  accepted: purgeAccepted,
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

export const purgeSucceeded = defineEvent(
  succeededEventWith('purge', {
    summary: 'The data of an instance is destroyed; a certificate in the audit log tells of it.',
    entries: {
      /** sha256 of the deletion certificate; earlier releases did not say it. */
      certificate: v.optional(
        v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')),
      ),
      /** When the last copy may be gone: of backups that are kept, and of those that the object store has locked. */
      copiesuntil: v.optional(v.nullable(fields.instant)),
    },
    example: {
      certificate: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
      copiesuntil: '2027-01-31T10:00:00Z',
    },
  }),
);
export type PurgeRequested = InferData<typeof purgeRequested>;
