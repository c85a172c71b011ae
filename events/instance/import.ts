import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { configurationEntries } from './configuration.ts';
import { operationEvents, requestEntries } from './operation-events.ts';

const archiveKey = v.pipe(
  v.string(),
  v.regex(
    /^imports\/(?:[a-z0-9][a-zA-Z0-9_-]{0,99}\/){0,3}[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$/,
    'must be a key below "imports/"',
  ),
);
export const {
  requested: importRequested,
  accepted: importAccepted,
  succeeded: importSucceeded,
  failed: importFailed,
} = operationEvents('import', {
  request: {
    wants: 'an Odoo database from elsewhere, with its files, as a new instance',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      customer: fields.customerId,
      ...configurationEntries,
      plan: fields.slug,
      /** A zip as Odoo's database manager makes it, uploaded for this instance: below `imports/<instance>/` in the object store. */
      from: v.strictObject({ kind: v.literal('odoo-zip'), key: archiveKey }),
    }),
    example: {
      instance: 'p4s2v6x3c5de',
      customer: 'c-1042',
      name: 'acme',
      plan: 'small',
      owner: { email: 'owner@acme.example' },
      from: { kind: 'odoo-zip', key: 'imports/p4s2v6x3c5de/acme.zip' },
      idempotencykey: 'order-7731',
    },
  },
  exampleUrl: 'https://acme.odoo.example',
  exampleRefusal: { code: 'invalid-request', text: 'The archive holds Odoo 16; this image runs Odoo 19.' },
});
export type ImportRequested = InferData<typeof importRequested>;
