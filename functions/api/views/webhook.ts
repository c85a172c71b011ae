import * as v from 'valibot';
import { visibleTypes } from '#shared/domain/webhook/visible-events.ts';
import type { WebhookAttempt, WebhookDelivery, WebhookEndpoint } from '#shared/domain/webhook/webhook.ts';
import { idText, instanceId, time, uuidText } from '../schemas.ts';

const wholeNumber = v.pipe(v.number(), v.integer());

export const endpointBody = v.strictObject({
  id: uuidText,
  customer: idText,
  url: v.string(),
  description: v.string(),
  /** Empty: all that customers may see. */
  types: v.array(v.picklist(visibleTypes)),
  enabled: v.boolean(),
  /** Why it is not: the customer's wish, its answer 410, or failures for three days. */
  disabledReason: v.nullable(v.picklist(['customer', 'gone', 'failing'])),
  disabledAt: v.nullable(time),
  /** The first failure since the last success. */
  failingSince: v.nullable(time),
  /** To the minute. */
  lastSuccessAt: v.nullable(time),
  /** Until then messages are signed with the secret before this one, too. */
  previousSecretUntil: v.nullable(time),
  generation: wholeNumber,
  createdAt: time,
});

export const endpointExample: v.InferOutput<typeof endpointBody> = {
  id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
  customer: 'c-1042',
  url: 'https://hooks.example.com/odoo',
  description: 'Our own dashboard',
  types: ['dev.odoofleet.instance.backup.succeeded', 'dev.odoofleet.instance.backup.failed'],
  enabled: true,
  disabledReason: null,
  disabledAt: null,
  failingSince: null,
  lastSuccessAt: '2027-02-01T10:00:00.000Z',
  previousSecretUntil: null,
  generation: 1,
  createdAt: '2027-01-01T10:00:00.000Z',
};

export const secretExample = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

export function toEndpointBody(endpoint: WebhookEndpoint): v.InferOutput<typeof endpointBody> {
  const { id, url, description, types, disabledReason, generation } = endpoint;
  return {
    ...{ id, customer: endpoint.customerId, url, description, types: [...types] },
    ...{ enabled: disabledReason === null, disabledReason, disabledAt: textOf(endpoint.disabledAt) },
    failingSince: textOf(endpoint.failingSince),
    lastSuccessAt: textOf(endpoint.lastSuccessAt),
    previousSecretUntil: textOf(endpoint.previousSecretUntil),
    generation,
    createdAt: endpoint.createdAt.toISOString(),
  };
}

export const deliveryBody = v.strictObject({
  id: uuidText,
  /** The message's `webhook-id`: the same in every try, and at every endpoint. */
  event: uuidText,
  type: v.string(),
  instance: v.nullable(instanceId),
  /** Counts what this endpoint is told about this instance, without gaps. */
  sequence: wholeNumber,
  /** `held`: it came while the endpoint was disabled; a replay sends it, as it sends those that failed. */
  state: v.picklist(['waiting', 'succeeded', 'failed', 'held']),
  /** Since it was last asked for. */
  attempts: wholeNumber,
  nextAttemptAt: v.nullable(time),
  createdAt: time,
  deliveredAt: v.nullable(time),
});

export const deliveryExample: v.InferOutput<typeof deliveryBody> = {
  id: '01936f2e-9a10-7b21-8c3d-4e5f6a7b8c9d',
  event: '01936f2e-9a10-7b21-8c3d-4e5f6a7b8caa',
  type: 'dev.odoofleet.instance.backup.succeeded',
  instance: 'k3n5q2x7a4bc',
  sequence: 12,
  state: 'waiting',
  attempts: 1,
  nextAttemptAt: '2027-02-01T10:00:05.000Z',
  createdAt: '2027-02-01T10:00:00.000Z',
  deliveredAt: null,
};

export function toDeliveryBody(delivery: WebhookDelivery): v.InferOutput<typeof deliveryBody> {
  const { id, type, sequence, state, attempts } = delivery;
  return {
    ...{ id, event: delivery.eventId, type, instance: delivery.instanceId, sequence, state, attempts },
    nextAttemptAt: textOf(delivery.nextAttemptAt),
    createdAt: delivery.createdAt.toISOString(),
    deliveredAt: textOf(delivery.deliveredAt),
  };
}

export const wholeDeliveryBody = v.strictObject({
  ...deliveryBody.entries,
  /** The text that is signed and sent. */
  body: v.string(),
  /** The last of them, newest first. */
  tries: v.array(
    v.strictObject({
      at: time,
      status: v.nullable(wholeNumber),
      error: v.nullable(v.string()),
      milliseconds: wholeNumber,
    }),
  ),
});

export const wholeDeliveryExample: v.InferOutput<typeof wholeDeliveryBody> = {
  ...deliveryExample,
  body: '{"type":"dev.odoofleet.instance.backup.succeeded","timestamp":"2027-02-01T10:00:00.000Z","instance":"k3n5q2x7a4bc","sequence":12,"data":{}}',
  tries: [{ at: '2027-02-01T10:00:00.120Z', status: 503, error: 'answered 503', milliseconds: 98 }],
};

export function toTries(tries: readonly WebhookAttempt[]): v.InferOutput<typeof wholeDeliveryBody>['tries'] {
  return tries.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest }));
}

function textOf(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
