import * as v from 'valibot';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { readEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { readDelivery, redeliver, replay, replayAtMost, toDelivery } from '#shared/adapters/postgres/webhook-log.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId, time, uuidText } from '../schemas.ts';
import {
  deliveryBody,
  deliveryExample,
  toDeliveryBody,
  toTries,
  wholeDeliveryBody,
  wholeDeliveryExample,
} from '../views/webhook.ts';
import { refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database'>;

const ofEndpoint = v.strictObject({ id: uuidText });
const ofDelivery = v.strictObject({ id: uuidText, delivery: uuidText });
const states = ['waiting', 'succeeded', 'failed', 'held'] as const;
const replayed = v.strictObject({ deliveries: v.pipe(v.number(), v.integer()) });

/** What an endpoint was told, and telling it again. Kept for a month. */
export function webhookDeliveryRoutes(ports: Ports): Route[] {
  return [listRoute(ports), getRoute(ports), redeliverRoute(ports), replayRoute(ports)];
}

function listRoute({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{id}/deliveries',
    operationId: 'listWebhookDeliveries',
    summary: 'What an endpoint was told, and is still to be told.',
    scope: 'webhooks:read',
    limit: 'read',
    params: ofEndpoint,
    query: v.strictObject({
      ...listQuery(['createdAt']),
      state: v.optional(v.picklist(states, `Choose from ${states.join(', ')}.`)),
      instance: v.optional(instanceId),
    }),
    fields: { of: 'items', names: Object.keys(deliveryBody.entries) },
    responses: {
      200: {
        description: 'A page of deliveries, newest first unless sorted otherwise.',
        schema: listOf(deliveryBody),
        example: { items: [deliveryExample], next: null },
      },
      ...refusals(404),
    },
    async handle({ params, query, principal }) {
      await readEndpoint(database, params.id, principal);
      const { rows, ...page } = await readPage<Row<'webhook_deliveries'>>(
        database,
        {
          columns: '*',
          from: 'webhook_deliveries',
          conditions: [
            ['endpoint_id = $', params.id],
            ['state = $', query.state],
            ['instance_id = $', query.instance],
          ],
          sorts: { createdAt: { sql: 'created_at', type: 'timestamptz' } },
          id: { sql: 'id', type: 'uuid' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map((row) => toDeliveryBody(toDelivery(row))), ...page } };
    },
  });
}

function getRoute({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{id}/deliveries/{delivery}',
    operationId: 'getWebhookDelivery',
    summary: 'One delivery, with its text and its last tries.',
    scope: 'webhooks:read',
    limit: 'read',
    params: ofDelivery,
    fields: { of: 'body', names: Object.keys(wholeDeliveryBody.entries) },
    responses: {
      200: { description: 'The delivery.', schema: wholeDeliveryBody, example: wholeDeliveryExample },
      ...refusals(404),
    },
    async handle({ params, principal }) {
      const which = { id: params.delivery, endpointId: params.id, customerId: principal.customerId };
      const { body, tries, ...delivery } = await readDelivery(database, which);
      return { status: 200, body: { ...toDeliveryBody(delivery), body, tries: toTries(tries) } };
    },
  });
}

function redeliverRoute({ database }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver',
    operationId: 'redeliverWebhook',
    summary: 'Sends a delivery once more under the same id, within seconds.',
    scope: 'webhooks:write',
    limit: 'write',
    params: ofDelivery,
    responses: {
      202: { description: 'It waits to be sent.', schema: deliveryBody, example: { ...deliveryExample, attempts: 0 } },
      ...refusals(404, 409),
    },
    async handle({ params, principal }) {
      const which = { id: params.delivery, endpointId: params.id, customerId: principal.customerId };
      const delivery = await redeliver(database, which, { actor: actorOf(principal) });
      return { status: 202, body: toDeliveryBody(delivery) };
    },
  });
}

function replayRoute({ database }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{id}/replay',
    operationId: 'replayWebhooks',
    summary: `Sends what an endpoint has not got since a time: what failed for days, and what came while it was disabled. At most ${replayAtMost} at once.`,
    scope: 'webhooks:write',
    limit: 'write',
    params: ofEndpoint,
    body: v.strictObject({ since: time }),
    bodyExample: { since: '2027-02-01T10:00:00Z' },
    responses: {
      202: { description: 'How many wait to be sent now.', schema: replayed, example: { deliveries: 12 } },
      ...refusals(400, 404, 409),
    },
    async handle({ params, body, principal }) {
      const target = { endpointId: params.id, customerId: principal.customerId };
      const deliveries = await replay(database, target, { since: new Date(body.since), actor: actorOf(principal) });
      return { status: 202, body: { deliveries } };
    },
  });
}
