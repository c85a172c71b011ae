import * as v from 'valibot';
import type { Principal } from '#shared/domain/access/principal.ts';
import type { CacheRead, CacheResult } from '#shared/domain/cache/cache.ts';
import { Failure } from '#shared/domain/failure.ts';
import { instanceStatuses } from '#shared/domain/instance/instance.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type CacheWord, type Route, route } from '../route.ts';
import { idText, instanceId } from '../schemas.ts';
import {
  type InstanceDetail,
  type InstanceRow,
  instanceBody,
  instanceDetailBody,
  instanceDetailExample,
  instanceExample,
  instanceList,
  readInstanceDetail,
} from '../views/instance.ts';

const query = v.strictObject({
  ...listQuery(['createdAt', 'name', 'updatedAt']),
  customer: v.optional(idText),
  status: v.optional(wordsOf(instanceStatuses)),
  plan: v.optional(idText),
  image: v.optional(idText),
  search: v.optional(
    v.pipe(
      v.string(),
      v.trim(),
      v.toLowerCase(),
      v.regex(/^[a-z0-9.-]{1,63}$/, 'Write a part of a name or host: letters, digits, "." and "-".'),
    ),
  ),
});

export function instanceRoutes(ports: Pick<ApiPorts, 'database' | 'cache'>): Route[] {
  return [listInstances(ports), getInstance(ports)];
}

function listInstances({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/instances',
    operationId: 'listInstances',
    summary: 'Instances, filtered and sorted. `search` finds parts of names and hosts.',
    scope: 'instances:read',
    limit: 'read',
    query,
    fields: { of: 'items', names: Object.keys(instanceBody.entries) },
    responses: {
      200: {
        description: 'A page of instances, newest first unless sorted otherwise.',
        schema: listOf(instanceBody),
        example: { items: [instanceExample], next: null, total: 1 },
      },
    },
    async handle({ query: asked, principal }) {
      const { rows, ...page } = await readPage<InstanceRow>(
        database,
        {
          columns: instanceList.columns,
          from: instanceList.from,
          conditions: [
            ['$::text is null or i.customer_id = $', principal.customerId],
            ['i.customer_id = $', asked.customer],
            ['i.status = any($)', asked.status],
            ['i.plan_id = $', asked.plan],
            ['i.image_id = $', asked.image],
            [`position($ in i.name) > 0 or position($ in i.host) > 0`, asked.search],
          ],
          sorts: {
            createdAt: { sql: 'i.created_at', type: 'timestamptz' },
            updatedAt: { sql: 'i.updated_at', type: 'timestamptz' },
            name: { sql: 'i.name', type: 'text' },
          },
          id: { sql: 'i.id', type: 'text' },
        },
        asked,
      );
      return { status: 200, body: { items: rows.map(instanceList.toBody), ...page } };
    },
  });
}

function getInstance({ database, cache }: Pick<ApiPorts, 'database' | 'cache'>): Route {
  return route({
    method: 'GET',
    path: '/v1/instances/{id}',
    operationId: 'getInstance',
    summary: 'One instance, with what is at work on it and its newest backups.',
    scope: 'instances:read',
    limit: 'read',
    params: v.strictObject({ id: instanceId }),
    fields: { of: 'body', names: Object.keys(instanceDetailBody.entries) },
    responses: {
      200: {
        description: 'The instance. Its ETag begins with its generation: give it as If-Match to change it.',
        schema: instanceDetailBody,
        example: instanceDetailExample,
        headers: { 'X-Cache': 'HIT, MISS, STALE or BYPASS: what the cache did for this answer.' },
      },
    },
    async handle({ params, principal }) {
      const { value, result } = await readCached({ database, cache }, params.id);
      if (value === undefined || !isOwn(principal, value)) throw noInstance();
      return {
        status: 200,
        body: principal.customerId === null ? value : { ...value, databaseServer: undefined },
        etag: `g${value.generation}`,
        cache: cacheWord(result),
      };
    },
  });
}

/** A copy that was made while something was at work tells nobody how far it is: then the row is read. */
async function readCached(
  { database, cache }: Pick<ApiPorts, 'database' | 'cache'>,
  id: string,
): Promise<CacheRead<InstanceDetail>> {
  const load = () => readInstanceDetail(database, id);
  const read = await cache.read('instance', id, load);
  const isCopy = read.result !== 'miss' && read.result !== 'bypass';
  if (!isCopy || read.value?.operation === null) return read;
  const value = await load();
  if (value?.operation === null) await cache.invalidate('instance', id);
  return { value, result: 'bypass' };
}

/** A copy in the cache is everybody's; whose it is stands in it, and never changes. */
function isOwn({ customerId }: Principal, instance: Pick<InstanceDetail, 'customerId'>): boolean {
  return customerId === null || customerId === instance.customerId;
}

/** Also for somebody else's: nobody learns what exists. */
function noInstance(): Failure {
  return new Failure('not-found', 'There is no such instance.', { facts: { field: 'path.id' } });
}

const cacheWords = {
  local: 'HIT',
  hit: 'HIT',
  stale: 'STALE',
  miss: 'MISS',
  bypass: 'BYPASS',
} as const satisfies Record<CacheResult, CacheWord>;

export function cacheWord(result: CacheResult): CacheWord {
  return cacheWords[result];
}
