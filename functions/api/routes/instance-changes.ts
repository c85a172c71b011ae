import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { configurationEntries } from '#events/instance/configuration.ts';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { Failure } from '#shared/domain/failure.ts';
import { prepare } from '#shared/runtime/requests/ask.ts';
import { changeInstance } from '#shared/runtime/requests/change.ts';
import { prepareProvision } from '#shared/runtime/requests/make.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId } from '../schemas.ts';
import {
  accept,
  acceptedExample,
  acceptedResponse,
  acceptedSchema,
  askerOf,
  generationSeen,
  keyHeader,
  matchHeader,
  perform,
  refusals,
  replyOf,
} from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'cache' | 'eventSource' | 'flush' | 'defaults'>;

const params = v.strictObject({ id: instanceId });

const wanted = v.strictObject({
  /** Whose it is; the caller's own unless stated. */
  customer: v.optional(fields.customerId),
  ...configurationEntries,
  plan: fields.slug,
});

const settings = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be named with a-z, 0-9 and "_"')),
    v.nullable(v.union([fields.text(500), fields.finiteNumber, v.boolean()])),
  ),
  v.maxEntries(30, 'must have at most 30 entries'),
);

const change = v.strictObject({
  desiredState: v.optional(v.picklist(['running', 'stopped'], 'must be "running" or "stopped"')),
  /** Of odoo.conf. Null takes one away; those not named stay. */
  settings: v.optional(settings),
  reason: v.optional(fields.text(200)),
});

const changed = v.strictObject({
  generation: fields.count,
  /** Null where all was as wanted already. */
  operation: v.nullable(acceptedSchema),
});

/** Making, changing and ending instances. */
export function instanceChangeRoutes(ports: Ports): Route[] {
  return [createInstance(ports), patchInstance(ports), deleteInstance(ports)];
}

function createInstance(ports: Ports): Route {
  const operationId = 'createInstance';
  const { instance: _id, idempotencykey: _key, ...bodyExample } = provisionRequested.example;
  return route({
    method: 'POST',
    path: '/v1/instances',
    operationId,
    summary: 'Makes a new instance.',
    scope: 'instances:write',
    limit: 'write',
    body: wanted,
    bodyExample,
    takes: keyHeader,
    responses: { 202: acceptedResponse('provision'), ...refusals(400, 409, 422) },
    async handle(call) {
      const made = prepareProvision(askerOf(call), call.body, { ...ports.defaults, eventSource: ports.eventSource });
      return await accept(ports, { call, operationId }, made);
    },
  });
}

function patchInstance(ports: Ports): Route {
  const operationId = 'changeInstance';
  return route({
    method: 'PATCH',
    path: '/v1/instances/{id}',
    operationId,
    summary: 'Changes what is wanted of an instance: whether it runs, and its settings. The operation brings it about.',
    scope: 'instances:write',
    limit: 'write',
    params,
    body: change,
    bodyExample: { settings: { transient_age_limit: 3 } },
    takes: { ...keyHeader, ...matchHeader },
    responses: {
      200: {
        description: 'All is as wanted already.',
        schema: changed,
        example: { generation: 7, operation: null },
      },
      202: {
        ...acceptedResponse('restart'),
        schema: changed,
        example: { generation: 8, operation: acceptedExample('restart') },
      },
      ...refusals(400, 404, 409, 412, 422),
    },
    async handle(call) {
      const { reason, ...wish } = call.body;
      const asked = { asker: askerOf(call), instanceId: call.params.id, generation: generationSeen(call) };
      return await perform(ports, { call, operationId }, async (transaction) => {
        const result = await changeInstance(transaction, ports, { ...asked, change: wish, reason });
        if (result instanceof Failure) return result;
        const { generation, operation } = result;
        if (operation === undefined) return { status: 200, headers: {}, body: { generation, operation: null } };
        const reply = await replyOf(transaction, operation);
        return { ...reply, body: { generation, operation: reply.body } };
      });
    },
  });
}

function deleteInstance(ports: Ports): Route {
  const operationId = 'deleteInstance';
  return route({
    method: 'DELETE',
    path: '/v1/instances/{id}',
    operationId,
    summary: 'Terminates an instance: its host is free at once, its data is kept for as long as this can be undone.',
    scope: 'instances:write',
    limit: 'write',
    destroys: true,
    params,
    takes: { ...keyHeader, ...matchHeader },
    responses: { 202: acceptedResponse('terminate'), ...refusals(400, 404, 409, 412, 422) },
    async handle(call) {
      const asked = {
        kind: 'terminate',
        instanceId: call.params.id,
        data: {},
        generation: generationSeen(call),
      } as const;
      const work = await prepare(ports, askerOf(call), asked);
      return await accept(ports, { call, operationId }, work);
    },
  });
}
