import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, succeededEventWith } from './operation-events.ts';

export const {
  requested: exportRequested,
  accepted: exportAccepted,
  failed: exportFailed,
} = operationEvents('export', {
  request: {
    wants: "a backup as a zip in Odoo's own format, for the customer to download",
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /** Id of a backup of this instance; the newest that succeeded unless stated. */
      backup: v.optional(fields.operationId),
    }),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731' },
  },
  exampleRefusal: { code: 'not-found', text: 'Instance k3n5q2x7a4bc has no backup that could be exported.' },
});

export const exportSucceeded = defineEvent(
  succeededEventWith('export', {
    summary: 'An export can be downloaded. The link is made for whoever asks for it; it is a secret and in no event.',
    entries: {
      /** The backup it was made of. */
      backup: fields.operationId,
      bytes: fields.count,
      /** From then on it is deleted. */
      expiresat: fields.instant,
    },
    example: {
      backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      bytes: 168_231_044,
      expiresat: '2027-02-01T10:00:00Z',
    },
  }),
);
export type ExportRequested = InferData<typeof exportRequested>;
