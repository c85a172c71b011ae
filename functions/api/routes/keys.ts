import * as v from 'valibot';
import { type ApiKeyRow, apiKeyColumns, findApiKey, keyOf, revokeApiKey } from '#shared/adapters/postgres/api-keys.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { ApiKey } from '#shared/domain/access/api-key.ts';
import { grantOf } from '#shared/domain/access/granting.ts';
import { actorOf, roles, scopes } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText, time } from '../schemas.ts';
import { refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'forgetKey'>;

const keyId = v.pipe(v.string(), v.regex(/^[a-z2-7]{16}$/, 'Write the id of a key: 16 characters of a-z and 2-7.'));

const keyBody = v.strictObject({
  id: keyId,
  name: v.string(),
  role: v.picklist(roles),
  customer: v.nullable(idText),
  scopes: v.array(v.picklist(scopes)),
  createdAt: time,
  createdBy: v.string(),
  expiresAt: time,
  revokedAt: v.nullable(time),
  /** To the minute. */
  lastUsedAt: v.nullable(time),
});

const example: v.InferOutput<typeof keyBody> = {
  id: 'abcdefghijklmnop',
  name: 'ci',
  role: 'customer',
  customer: 'acme',
  scopes: ['instances:read', 'backups:read'],
  createdAt: '2027-02-01T10:00:00.000Z',
  createdBy: 'user:u-17',
  expiresAt: '2027-05-02T10:00:00.000Z',
  revokedAt: null,
  lastUsedAt: null,
};

const wanted = v.strictObject({
  name: v.pipe(v.string(), v.trim(), v.regex(/^[^\p{C}]{1,100}$/u, 'Write a name of 1 to 100 characters.')),
  role: v.optional(v.picklist(roles, `Choose from ${roles.join(', ')}.`)),
  customer: v.optional(idText),
  scopes: v.optional(
    v.pipe(
      v.array(v.picklist(scopes, `Choose from ${scopes.join(', ')}.`)),
      v.minLength(1, 'State one scope at least.'),
      v.maxLength(scopes.length, 'State each scope once.'),
    ),
  ),
  expiresInDays: v.optional(
    v.pipe(
      v.number(),
      v.integer('Write whole days.'),
      v.minValue(1, 'Write 1 to 365.'),
      v.maxValue(365, 'Write 1 to 365.'),
    ),
    90,
  ),
});

const ofKey = v.strictObject({ id: keyId });

/** API keys. Who made one sees it once; nobody sees it again. */
export function keyRoutes(ports: Ports): Route[] {
  return [listKeys(ports), createKey(ports), getKey(ports), revokeKey(ports)];
}

function listKeys({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/keys',
    operationId: 'listKeys',
    summary: 'API keys, revoked and expired ones among them.',
    scope: 'keys:read',
    limit: 'read',
    query: v.strictObject({ ...listQuery(['createdAt']), customer: v.optional(idText) }),
    fields: { of: 'items', names: Object.keys(keyBody.entries) },
    responses: {
      200: {
        description: 'A page of keys, newest first unless sorted otherwise.',
        schema: listOf(keyBody),
        example: { items: [example], next: null },
      },
    },
    async handle({ query, principal }) {
      const { rows, ...page } = await readPage<ApiKeyRow>(
        database,
        {
          columns: apiKeyColumns,
          from: 'api_keys',
          conditions: [
            ['$::text is null or customer_id = $', principal.customerId],
            ['customer_id = $', query.customer],
          ],
          sorts: { createdAt: { sql: 'created_at', type: 'timestamptz' } },
          id: { sql: 'id', type: 'text' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map((row) => bodyOf(keyOf(row))), ...page } };
    },
  });
}

function createKey({ database }: Ports): Route {
  return route({
    method: 'POST',
    path: '/v1/keys',
    operationId: 'createKey',
    summary:
      'Makes an API key, with no more than its maker may do, and for no longer than a key that makes it. An answer that was lost is lost: revoke and ask again.',
    scope: 'keys:write',
    limit: 'write',
    body: wanted,
    bodyExample: { name: 'ci', scopes: ['instances:read', 'backups:read'], expiresInDays: 90 },
    responses: {
      201: {
        description: 'The key. `key` is told this once only.',
        schema: v.strictObject({ ...keyBody.entries, key: v.string() }),
        example: { ...example, key: `fleet_abcdefghijklmnop_${'A'.repeat(43)}` },
        headers: { location: 'Where the key is described.' },
      },
      ...refusals(400, 409),
    },
    async handle({ body, principal }) {
      const { name, role, customer: customerId, scopes: asked, expiresInDays } = body;
      const grant = grantOf(principal, { role, customerId, scopes: asked });
      const expiresAt = new Date(Date.now() + expiresInDays * 86_400_000);
      const by = actorOf(principal);
      const makerKeyId = principal.kind === 'key' ? principal.id : undefined;
      const wish = { grant, name, expiresAt, by, makerKeyId };
      const made = await database.transaction((transaction) => mintKey(transaction, wish));
      const headers = { location: `/v1/keys/${made.key.id}`, 'cache-control': 'no-store' };
      return { status: 201, headers, body: { ...bodyOf(made.key), key: made.text } };
    },
  });
}

function getKey({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/keys/{id}',
    operationId: 'getKey',
    summary: 'One API key.',
    scope: 'keys:read',
    limit: 'read',
    params: ofKey,
    fields: { of: 'body', names: Object.keys(keyBody.entries) },
    responses: { 200: { description: 'The key, without itself.', schema: keyBody, example }, ...refusals(404) },
    async handle({ params, principal }) {
      const key = await findApiKey(database, { id: params.id, customerId: principal.customerId });
      if (key === undefined) throw noKey();
      return { status: 200, body: bodyOf(key) };
    },
  });
}

function revokeKey({ database, forgetKey }: Ports): Route {
  return route({
    method: 'DELETE',
    path: '/v1/keys/{id}',
    operationId: 'revokeKey',
    summary: 'Revokes an API key, and those of its own kind it has made. Every server refuses them within ten seconds.',
    scope: 'keys:write',
    limit: 'write',
    params: ofKey,
    responses: { 204: { description: 'It is revoked, now or before.' }, ...refusals(404) },
    async handle({ params, principal }) {
      const by = actorOf(principal);
      const ids = await database.transaction(async (transaction) => {
        const revoked = await revokeApiKey(transaction, { id: params.id, by, customerId: principal.customerId });
        if (revoked === undefined) throw noKey();
        const { customerId: customer } = revoked.key;
        for (const key of revoked.revokedIds) {
          await appendAudit(transaction, { actor: by, action: 'key.revoked', detail: { key, customer } });
        }
        return revoked.revokedIds;
      });
      for (const id of ids) forgetKey(id);
      return { status: 204 };
    },
  });
}

/** Also for somebody else's. */
function noKey(): Failure {
  return new Failure('not-found', 'There is no such key.', { facts: { field: 'path.id' } });
}

function bodyOf(key: ApiKey) {
  const { id, name, role, scopes: granted, createdBy } = key;
  return {
    ...{ id, name, role, customer: key.customerId, scopes: granted },
    createdAt: key.createdAt.toISOString(),
    createdBy,
    expiresAt: key.expiresAt.toISOString(),
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}
