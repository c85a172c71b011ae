import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { chosenInstanceSubject } from '#events/subjects.ts';
import { configurationEntries } from './configuration.ts';

/** Asks for a new Odoo. Sent by a user service, or by us for a subscription that is paid or in its trial. */
export const provisionRequested = defineEvent({
  type: 'dev.odoofleet.instance.provision.requested',
  summary: 'A customer wants a new Odoo instance.',
  direction: 'both',
  schema: v.strictObject({
    /** Without it the id is derived from the event's source and `idempotencykey` (or the event's id). */
    instance: v.optional(fields.instanceId),
    customer: fields.customerId,
    ...configurationEntries,
    plan: fields.slug,
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
