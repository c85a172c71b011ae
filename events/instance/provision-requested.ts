import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { chosenInstanceSubject } from '#events/subjects.ts';

/** Asks for a new Odoo. Sent by a billing or user service. */
export const provisionRequested = defineEvent({
  type: 'dev.odoofleet.instance.provision.requested',
  summary: 'A customer wants a new Odoo instance.',
  direction: 'in',
  schema: v.strictObject({
    /** Without it the id is derived from the event's source and `idempotencykey` (or the event's id). */
    instance: v.optional(fields.instanceId),
    customer: fields.customerId,
    name: fields.instanceName,
    plan: fields.slug,
    image: v.optional(fields.slug),
    modules: v.optional(v.pipe(v.array(fields.moduleName), v.maxLength(50, 'must list at most 50 modules'))),
    owner: v.strictObject({ email: fields.email }),
    language: v.optional(fields.language),
    /** odoo.conf settings of the customer's own; reserved ones are refused later, with the reason. */
    settings: v.optional(
      v.pipe(
        v.record(
          v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be named with a-z, 0-9 and "_"')),
          v.union([fields.text(500), fields.finiteNumber, v.boolean()]),
        ),
        v.maxEntries(30, 'must have at most 30 entries'),
      ),
    ),
    idempotencykey: v.optional(fields.idempotencyKey),
  }),
  subject: chosenInstanceSubject,
  example: {
    instance: 'k3n5q2x7a4bc',
    customer: 'c-1042',
    name: 'acme',
    plan: 'small',
    image: 'odoo-19',
    modules: ['crm', 'sale_management'],
    owner: { email: 'owner@acme.example' },
    language: 'de_DE',
    settings: { transient_age_limit: 2 },
    idempotencykey: 'order-7731',
  },
});
export type ProvisionRequested = InferData<typeof provisionRequested>;
