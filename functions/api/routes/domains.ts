import * as v from 'valibot';
import { proofOf } from '#shared/domain/custom-domain/custom-domain.ts';
import { addDomain, domainsOf, removeDomain, type ShownDomain, verifyDomain } from '#shared/runtime/access/domains.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId, time } from '../schemas.ts';
import { refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'resolver'>;

const host = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'Write a host such as shop.example.com.'),
);

const domainBody = v.strictObject({
  host: v.string(),
  /** Visitors are led to the instance from `verified` on; the change takes some minutes. */
  state: v.picklist(['unverified', 'verified']),
  /** What to publish in DNS to show that the host is yours. */
  record: v.strictObject({ type: v.literal('TXT'), name: v.string(), value: v.string() }),
  /** Where the host's own record (CNAME) has to lead. */
  target: v.string(),
  createdAt: time,
  verifiedAt: v.nullable(time),
});

const example = {
  host: 'shop.example.com',
  state: 'unverified' as const,
  record: {
    type: 'TXT' as const,
    name: '_odoo-fleet.shop.example.com',
    value: 'odoo-fleet=abcdefghijklmnopqrstuvwxyz234567',
  },
  target: 'acme.odoo.example',
  createdAt: '2027-02-01T10:00:00.000Z',
  verifiedAt: null,
};

const verifiedExample = { ...example, state: 'verified' as const, verifiedAt: '2027-02-01T10:05:00.000Z' };

const ofInstance = v.strictObject({ id: instanceId });
const ofDomain = v.strictObject({ id: instanceId, host });

/** Hosts of customers' own: asked for, proven by a DNS record, then led to the instance. */
export function domainRoutes(ports: Ports): Route[] {
  return [listDomains(ports), createDomain(ports), checkDomain(ports), deleteDomain(ports)];
}

function listDomains({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/instances/{id}/domains',
    operationId: 'listDomains',
    summary: 'Hosts of the customer’s own that the instance has, or that are still to be proven.',
    scope: 'domains:read',
    limit: 'read',
    params: ofInstance,
    fields: { of: 'items', names: Object.keys(domainBody.entries) },
    responses: {
      200: {
        description: 'All of them, by name.',
        schema: v.strictObject({ items: v.array(domainBody) }),
        example: { items: [example] },
      },
      ...refusals(404),
    },
    async handle({ params, principal }) {
      const domains = await domainsOf(database, principal, params.id);
      return { status: 200, body: { items: domains.map(bodyOf) } };
    },
  });
}

function createDomain({ database }: Ports): Route {
  const response = { description: 'It is to be proven: publish `record`.', schema: domainBody, example };
  return route({
    method: 'POST',
    path: '/v1/instances/{id}/domains',
    operationId: 'addDomain',
    summary: 'Asks for a host. Asking again gives the same proof to publish.',
    scope: 'domains:write',
    limit: 'write',
    params: ofInstance,
    // what is wrong with a host is said by the one place that knows
    body: v.strictObject({
      host: v.pipe(v.string(), v.trim(), v.maxLength(300, 'Write a host such as shop.example.com.')),
    }),
    bodyExample: { host: 'shop.example.com' },
    responses: {
      200: { ...response, description: 'It was asked for before.' },
      201: response,
      ...refusals(400, 404, 409),
    },
    async handle({ params, body, principal }) {
      const { domain, isNew } = await addDomain(database, principal, { instanceId: params.id, host: body.host });
      return { status: isNew ? 201 : 200, body: bodyOf(domain) };
    },
  });
}

function checkDomain({ database, resolver }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/instances/{id}/domains/{host}/verify',
    operationId: 'verifyDomain',
    summary: 'Looks for the proof in DNS. Once it was found the host leads to the instance, within some minutes.',
    scope: 'domains:write',
    limit: 'write',
    params: ofDomain,
    responses: {
      200: { description: 'It is proven, now or before.', schema: domainBody, example: verifiedExample },
      ...refusals(404, 409),
    },
    async handle({ params, principal }) {
      const named = { instanceId: params.id, host: params.host };
      return { status: 200, body: bodyOf(await verifyDomain({ database, resolver }, principal, named)) };
    },
  });
}

function deleteDomain({ database }: Ports): Route {
  return route({
    method: 'DELETE',
    path: '/v1/instances/{id}/domains/{host}',
    operationId: 'removeDomain',
    summary: 'Takes a host away from the instance.',
    scope: 'domains:write',
    limit: 'write',
    params: ofDomain,
    responses: { 204: { description: 'It is taken away.' }, ...refusals(404) },
    async handle({ params, principal }) {
      await removeDomain(database, principal, { instanceId: params.id, host: params.host });
      return { status: 204 };
    },
  });
}

function bodyOf(domain: ShownDomain) {
  const { host: name, target, createdAt, verifiedAt } = domain;
  const proof = proofOf(domain);
  return {
    host: name,
    state: verifiedAt === null ? 'unverified' : 'verified',
    record: { type: 'TXT', name: proof.name, value: proof.text },
    target,
    createdAt: createdAt.toISOString(),
    verifiedAt: verifiedAt?.toISOString() ?? null,
  };
}
