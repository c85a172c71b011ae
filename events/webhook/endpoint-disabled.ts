import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';

/** Told to people and to the customer's other endpoints. The address is the customer's and in no event. */
export const webhookEndpointDisabled = defineEvent({
  type: 'dev.odoofleet.webhook.endpoint.disabled',
  summary: "An endpoint of a customer's is sent no events any more: it is gone, or has failed for days.",
  direction: 'out',
  schema: v.strictObject({
    endpoint: fields.operationId,
    customer: fields.customerId,
    /** `gone`: it answered 410; `failing`: nothing it was sent for days was taken. */
    reason: v.picklist(['gone', 'failing']),
    /** When it last took an event; null when it never did. */
    lastsuccessat: v.nullable(fields.instant),
  }),
  subject: {
    text: 'the endpoint id',
    strictness: 'required',
    of: (data) => data.endpoint,
  },
  extensions: { tenantid: (data) => data.customer },
  example: {
    endpoint: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
    customer: 'c-1042',
    reason: 'failing',
    lastsuccessat: '2027-01-28T10:00:00Z',
  },
});
export type WebhookEndpointDisabled = InferData<typeof webhookEndpointDisabled>;
