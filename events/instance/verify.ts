import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, succeededEventWith } from './operation-events.ts';

export const {
  requested: verifyRequested,
  accepted: verifyAccepted,
  failed: verifyFailed,
} = operationEvents('verify', {
  request: {
    wants: 'a backup restored into a database of its own and compared with its manifest',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /** Id of a backup of this instance; the newest unless stated. */
      backup: v.optional(fields.operationId),
      /** Whether Odoo is started on what was restored, too; a sample decides unless stated, and final backups always are. */
      boot: v.optional(v.boolean()),
    }),
    example: {
      instance: 'k3n5q2x7a4bc',
      idempotencykey: 'order-7731',
      backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
    },
  },
  exampleRefusal: { code: 'not-found', text: 'Instance k3n5q2x7a4bc has no backup that could be verified.' },
});

export const verifySucceeded = defineEvent(
  succeededEventWith('verify', {
    summary: 'A backup is proven: it was restored, read whole, and is what its manifest says.',
    entries: {
      /** Id of the backup that is proven. */
      backup: fields.operationId,
      /** Odoo was started on it, too, and answered; earlier releases did not say it. */
      booted: v.optional(v.boolean()),
    },
    example: { backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', booted: true },
  }),
);
export type VerifyRequested = InferData<typeof verifyRequested>;
