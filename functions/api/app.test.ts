import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLog } from '#shared/runtime/log.ts';
import { apiHandler } from './app.ts';
import { nobody, type Route, route } from './route.ts';

let server: Server;
let url: string;

const echo: Route = route({
  method: 'POST',
  path: '/v1/things/{id}',
  operationId: 'echo',
  summary: 'Says what it was given.',
  scope: 'instances:read',
  limit: 'read',
  params: v.strictObject({ id: v.pipe(v.string(), v.regex(/^[a-z]+$/, 'Write letters.')) }),
  query: v.strictObject({ limit: v.optional(v.pipe(v.string(), v.digits())) }),
  body: v.strictObject({ name: v.string(), size: v.optional(v.number()) }),
  responses: { 200: { description: 'What came.' } },
  handle: async ({ params, query, body }) => ({ status: 200, body: { ...params, ...query, ...body } }),
});
const routes: Route[] = [echo];

beforeAll(async () => {
  const handler = apiHandler({
    routes,
    access: {
      authenticate: async () => ({ ...nobody, scopes: ['instances:read'] }),
      limit: async () => ({ isAllowed: true, limit: 100, remaining: 99, retryAfterMs: 0 }),
    },
    log: openLog({ name: 'api', level: 'silent' }),
  });
  server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

describe('the frame', () => {
  it('hands a route what its schemas made of the request', async () => {
    const answer = await fetch(`${url}/v1/things/abc?limit=3`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'x' }),
    });
    expect([answer.status, await answer.json()]).toEqual([200, { id: 'abc', limit: '3', name: 'x' }]);
  });
});
