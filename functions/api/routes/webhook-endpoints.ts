import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import {
  changeEndpoint,
  deleteEndpoint,
  insertEndpoint,
  readEndpoint,
  rotateSecret,
  toEndpoint,
} from '#shared/adapters/postgres/webhook-endpoints.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { newSecret, overlapHoursAtMost, overlapHoursByDefault, secretText } from '#shared/domain/webhook/secret.ts';
import { checkTarget } from '#shared/domain/webhook/target.ts';
import { visibleTypes } from '#shared/domain/webhook/visible-events.ts';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { invalidRequest } from '../problem.ts';
import { type Call, type Route, route } from '../route.ts';
import { idText, uuidText } from '../schemas.ts';
import { endpointBody, endpointExample, secretExample, toEndpointBody } from '../views/webhook.ts';
import { generationSeen, matchHeader, refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'webhooks'>;

const url = v.pipe(v.string(), v.maxLength(2_000, 'Write at most 2000 characters.'));
const types = v.pipe(
  v.array(v.picklist(visibleTypes, 'Choose types of events that customers may see.')),
  v.maxLength(visibleTypes.length, 'State each type once.'),
  v.transform((list) => [...new Set(list)]),
);
const wanted = v.strictObject({
  url,
  description: v.optional(fields.text(200), ''),
  types: v.optional(types, []),
  customer: v.optional(idText),
});
const change = v.strictObject({
  url: v.optional(url),
  description: v.optional(fields.text(200)),
  types: v.optional(types),
  enabled: v.optional(v.boolean()),
});
const rotation = v.optional(
  v.strictObject({
    overlapHours: v.optional(
      v.pipe(
        v.number(),
        v.integer('Write whole hours.'),
        v.minValue(0, `Write 0 to ${overlapHoursAtMost}.`),
        v.maxValue(overlapHoursAtMost, `Write 0 to ${overlapHoursAtMost}.`),
      ),
      overlapHoursByDefault,
    ),
  }),
  {},
);
const ofEndpoint = v.strictObject({ id: uuidText });
const withSecret = v.strictObject({ ...endpointBody.entries, secret: v.string() });

/** Where customers are told of events. A secret is shown once, to whoever makes it. */
export function webhookEndpointRoutes(ports: Ports): Route[] {
  return [
    listRoute(ports),
    createRoute(ports),
    getRoute(ports),
    changeRoute(ports),
    deleteRoute(ports),
    rotateRoute(ports),
  ];
}

function listRoute({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/webhook-endpoints',
    operationId: 'listWebhookEndpoints',
    summary: 'Where customers are told of events.',
    scope: 'webhooks:read',
    limit: 'read',
    query: v.strictObject({ ...listQuery(['createdAt']), customer: v.optional(idText) }),
    fields: { of: 'items', names: Object.keys(endpointBody.entries) },
    responses: {
      200: {
        description: 'A page of endpoints, newest first unless sorted otherwise.',
        schema: listOf(endpointBody),
        example: { items: [endpointExample], next: null },
      },
    },
    async handle({ query, principal }) {
      const { rows, ...page } = await readPage<Row<'webhook_endpoints'>>(
        database,
        {
          columns: '*',
          from: 'webhook_endpoints',
          conditions: [
            ['$::text is null or customer_id = $', principal.customerId],
            ['customer_id = $', query.customer],
            ['$::boolean = (deleted_at is null)', true],
          ],
          sorts: { createdAt: { sql: 'created_at', type: 'timestamptz' } },
          id: { sql: 'id', type: 'uuid' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map((row) => toEndpointBody(toEndpoint(row))), ...page } };
    },
  });
}

function createRoute({ database, webhooks }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/webhook-endpoints',
    operationId: 'createWebhookEndpoint',
    summary:
      'Makes an endpoint. Messages are signed as Standard Webhooks say. An answer that was lost is lost: delete it and ask again.',
    scope: 'webhooks:write',
    limit: 'write',
    body: wanted,
    bodyExample: { url: endpointExample.url, description: endpointExample.description, types: endpointExample.types },
    responses: {
      201: {
        description: 'The endpoint. `secret` is told this once only.',
        schema: withSecret,
        example: { ...endpointExample, secret: secretExample },
        headers: { location: 'Where the endpoint is described.' },
      },
      ...refusals(400, 409),
    },
    async handle({ body, principal }) {
      const customerId = customerOf(principal, body.customer);
      const target = checkTarget(body.url, webhooks.targets);
      const id = newOperationId();
      const secret = newSecret();
      const wrapped = await webhooks.secrets.wrap(secret, id);
      const { description, types: chosen } = body;
      const endpoint = { id, customerId, url: target, description, types: chosen, secret: wrapped };
      const made = await insertEndpoint(database, endpoint, { actor: actorOf(principal) });
      const headers = { location: `/v1/webhook-endpoints/${id}`, 'cache-control': 'no-store' };
      return { status: 201, headers, body: { ...toEndpointBody(made), secret: secretText(secret) } };
    },
  });
}

/** Whose it is to be. A customer's own, whatever is said; who is not limited to one has to say. */
function customerOf({ customerId }: Call['principal'], stated: string | undefined): string {
  if (customerId !== null && (stated === undefined || stated === customerId)) return customerId;
  if (customerId === null && stated !== undefined) return stated;
  const detail = customerId === null ? 'Say whose it is to be.' : 'It must be yourself, or left out.';
  throw invalidRequest([{ field: 'body.customer', detail }]);
}

function getRoute({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/webhook-endpoints/{id}',
    operationId: 'getWebhookEndpoint',
    summary: 'One endpoint, without its secret.',
    scope: 'webhooks:read',
    limit: 'read',
    params: ofEndpoint,
    fields: { of: 'body', names: Object.keys(endpointBody.entries) },
    responses: {
      200: { description: 'The endpoint.', schema: endpointBody, example: endpointExample },
      ...refusals(404),
    },
    async handle({ params, principal }) {
      const endpoint = await readEndpoint(database, params.id, principal);
      return { status: 200, body: toEndpointBody(endpoint), etag: `g${endpoint.generation}` };
    },
  });
}

function changeRoute({ database, webhooks }: Ports): Route {
  return route({
    method: 'PATCH',
    path: '/v1/webhook-endpoints/{id}',
    operationId: 'changeWebhookEndpoint',
    summary: 'Changes an endpoint. Other types count from now on; disabling keeps what comes for a replay.',
    scope: 'webhooks:write',
    limit: 'write',
    params: ofEndpoint,
    body: change,
    bodyExample: { enabled: true },
    takes: matchHeader,
    responses: {
      200: {
        description: 'The endpoint as it is now.',
        schema: endpointBody,
        example: { ...endpointExample, generation: 2 },
      },
      ...refusals(400, 404, 412),
    },
    async handle(call) {
      const { body, params, principal } = call;
      const { url: stated, description, types: chosen, enabled } = body;
      const target = stated === undefined ? undefined : checkTarget(stated, webhooks.targets);
      const changed = await changeEndpoint(
        database,
        { id: params.id, customerId: principal.customerId, generation: generationSeen(call) },
        { change: { url: target, description, types: chosen, isEnabled: enabled }, actor: actorOf(principal) },
      );
      return { status: 200, body: toEndpointBody(changed), etag: `g${changed.generation}` };
    },
  });
}

function deleteRoute({ database }: Ports): Route {
  return route({
    method: 'DELETE',
    path: '/v1/webhook-endpoints/{id}',
    operationId: 'deleteWebhookEndpoint',
    summary: 'Deletes an endpoint: nothing is sent there any more.',
    scope: 'webhooks:write',
    limit: 'write',
    destroys: true,
    params: ofEndpoint,
    takes: matchHeader,
    responses: { 204: { description: 'It is deleted.' }, ...refusals(404, 412) },
    async handle(call) {
      const { params, principal } = call;
      const target = { id: params.id, customerId: principal.customerId, generation: generationSeen(call) };
      await deleteEndpoint(database, target, { actor: actorOf(principal) });
      return { status: 204 };
    },
  });
}

function rotateRoute({ database, webhooks }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/webhook-endpoints/{id}/rotate-secret',
    operationId: 'rotateWebhookSecret',
    summary: 'Makes a new secret. For `overlapHours` messages bear signatures by both; with 0 the old one ends now.',
    scope: 'webhooks:write',
    limit: 'write',
    params: ofEndpoint,
    body: rotation,
    bodyExample: { overlapHours: overlapHoursByDefault },
    responses: {
      200: {
        description: 'The endpoint. `secret` is told this once only.',
        schema: withSecret,
        example: { ...endpointExample, generation: 2, secret: secretExample },
      },
      ...refusals(400, 404),
    },
    async handle({ body, params, principal }) {
      const secret = newSecret();
      const wrapped = await webhooks.secrets.wrap(secret, params.id);
      const rotated = await rotateSecret(
        database,
        { id: params.id, customerId: principal.customerId },
        { secret: wrapped, overlapHours: body.overlapHours ?? overlapHoursByDefault, actor: actorOf(principal) },
      );
      return {
        status: 200,
        headers: { 'cache-control': 'no-store' },
        body: { ...toEndpointBody(rotated), secret: secretText(secret) },
      };
    },
  });
}
