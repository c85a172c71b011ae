import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

export const {
  requested: cloneRequested,
  accepted: cloneAccepted,
  succeeded: cloneSucceeded,
  failed: cloneFailed,
} = operationEvents('clone', {
  request: {
    wants: 'a neutralized copy of an instance, as a new instance of the same customer',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /** The instance that is copied. `instance` is the new one's id, chosen by whoever asks. */
      source: fields.instanceId,
      /** Id of a backup of the source; the newest that succeeded unless stated. */
      backup: v.optional(fields.operationId),
      /** Of the new instance: the first part of its host. */
      name: fields.instanceName,
      /** The source's unless stated. */
      plan: v.optional(fields.slug),
    }),
    example: {
      instance: 'm2p6r4t7b3cd',
      source: 'k3n5q2x7a4bc',
      name: 'acme-staging',
      idempotencykey: 'order-7731',
    },
  },
  exampleUrl: 'https://acme-staging.odoo.example',
  exampleRefusal: { code: 'not-found', text: 'Instance k3n5q2x7a4bc has no backup that could be copied.' },
});
export type CloneRequested = InferData<typeof cloneRequested>;
