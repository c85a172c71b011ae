import { once } from 'node:events';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import * as v from 'valibot';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { Failure, type FailureCode } from '#shared/domain/failure.ts';
import { type Log, openLog } from '#shared/runtime/log.ts';
import { makeMetrics } from '#shared/runtime/metrics.ts';
import { type Served, serve } from '#shared/runtime/serve.ts';
import { parseStrictly } from '#shared/testing/strict-fields.ts';
import { apiHandler } from './app.ts';
import type { LimitAnswer } from './ports.ts';
import { type Call, nobody, type Route, route } from './route.ts';

const roomLeft: LimitAnswer = { isAllowed: true, limit: 100, remaining: 99, retryAfterMs: 0 };
/** What who asks is told of his limit; as it was again for the next test. */
export const limits: { answer: LimitAnswer } = { answer: roomLeft };
/** What reached a route, and what was logged, in this test. */
export const calls: Call[] = [];
export const lines: string[] = [];
/** Who asks as `waiting` is known only when `end` is called. How many of them came, and left. */
export const waiting = { end: () => undefined as void, come: 0, left: 0 };
/** The numbers of this file. */
export const metrics = makeMetrics({ functionName: 'api', withNodeMetrics: false });
/** How many streams began and ended in this test. */
export const streams = { begun: 0, ended: 0 };
let served: Served;
let url: string;

const responses = { 200: { description: 'What came.' } };
const read = { scope: 'instances:read', limit: 'read', responses, summary: 'A thing.' } as const;

const routes: Route[] = [
  route({
    ...read,
    method: 'POST',
    path: '/v1/things/{id}',
    operationId: 'echo',
    params: v.strictObject({ id: v.pipe(v.string(), v.regex(/^[a-z]+$/, 'Write letters.')) }),
    query: v.strictObject({ limit: v.optional(v.pipe(v.string(), v.digits('Write digits.'))) }),
    body: v.strictObject({
      name: v.string(),
      size: v.optional(v.number()),
      owner: v.optional(v.strictObject({ email: v.string() })),
    }),
    async handle(call) {
      calls.push(call);
      return { status: 200, body: { ...call.params, ...call.query, ...call.body } };
    },
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/things',
    operationId: 'list',
    query: v.strictObject({ size: v.optional(v.pipe(v.string(), v.transform(Number)), '1') }),
    fields: { of: 'items', names: ['name', 'text'] },
    async handle({ query }) {
      return { status: 200, body: { items: [{ name: 'a', text: 'x'.repeat(query.size) }], next: null } };
    },
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/failures/{code}',
    operationId: 'fail',
    params: v.strictObject({ code: v.string() }),
    query: v.strictObject({ x: v.optional(v.string(), '') }),
    async handle({ params, query }) {
      if (params.code === 'bug') throw new TypeError(`secret-internals are undefined${query.x}`);
      throw new Failure(params.code as FailureCode, 'Do this instead of secret-internals.', {
        facts: { retryAfterMs: 1_500 },
      });
    },
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/slow',
    operationId: 'slow',
    deadlineMs: 50,
    handle: (call) => {
      calls.push(call);
      return new Promise(() => undefined);
    },
  }),
  route({
    ...read,
    method: 'POST',
    path: '/v1/slow-changes',
    operationId: 'slowChange',
    deadlineMs: 50,
    handle: () => new Promise(() => undefined),
  }),
  route({
    ...read,
    method: 'POST',
    path: '/v1/slow-keyed-changes',
    operationId: 'slowKeyedChange',
    deadlineMs: 50,
    takes: { 'idempotency-key': 'The name of the call.' },
    handle: () => new Promise(() => undefined),
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/stream',
    operationId: 'stream',
    async handle(call) {
      calls.push(call);
      return { status: 200, stream: { type: 'text/event-stream', pieces: pieces(call.signal) } };
    },
  }),
  route({
    ...read,
    method: 'POST',
    path: '/v1/removals',
    operationId: 'remove',
    destroys: true,
    handle: async () => ({ status: 204 }),
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/attempts',
    operationId: 'attempt',
    scope: 'anyone',
    limit: 'attempt',
    handle: async () => ({ status: 200, body: {}, headers: { 'cache-control': 'no-store' } }),
  }),
  route({
    ...read,
    method: 'GET',
    path: '/v1/open',
    operationId: 'open',
    scope: 'anyone',
    limit: 'none',
    handle: async ({ principal }) => ({ status: 200, body: principal }),
  }),
];

async function* pieces(signal: AbortSignal): AsyncGenerator<string> {
  streams.begun += 1;
  try {
    for (let at = 0; at < 3; at += 1) yield `data: ${at}\n\n`;
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    streams.ended += 1;
  }
}

function handlerOf(log: Log) {
  return apiHandler({
    routes,
    access: {
      async authenticate({ authorization }) {
        if (authorization === 'Bearer support') return { ...nobody, role: 'support', scopes: ['instances:read'] };
        if (authorization === 'Bearer weak') return nobody;
        if (authorization === 'Bearer waiting') {
          waiting.come += 1;
          await new Promise<void>((end) => Object.assign(waiting, { end }));
          return { ...nobody, id: 'u-1', scopes: ['instances:read'] };
        }
        if (authorization !== 'Bearer good') throw new Failure('unauthenticated', 'Send a bearer token.');
        return { ...nobody, id: 'u-1', scopes: ['instances:read'] };
      },
      limit: async ({ id }) => (id === '10.1.1.1' ? { ...roomLeft, isAllowed: false } : limits.answer),
    },
    log,
    metrics,
    slowMs: 40,
  });
}

/** Serves the routes on a port of their own. Call it at the top of the file. */
export function serveTestRoutes(): void {
  beforeAll(async () => {
    const stream = new Writable({ write: (chunk: Buffer, _encoding, next) => (lines.push(chunk.toString()), next()) });
    const log = openLog({
      name: 'api',
      level: 'info',
      stream: stream as unknown as NonNullable<Parameters<typeof openLog>[0]['stream']>,
    });
    const handler = handlerOf(log);
    const noting: typeof handler = (request, response) => {
      response.once('close', () => {
        if (!response.writableFinished) waiting.left += 1;
      });
      return handler(request, response);
    };
    served = await serve(noting, {
      port: 0,
      host: '127.0.0.1',
      log,
      requestTimeoutMs: 1_500,
      drainTimeoutMs: 500,
    });
    url = `http://127.0.0.1:${served.port}`;
  });
  afterAll(() => served.drain());
  beforeEach(() => {
    limits.answer = roomLeft;
    Object.assign(waiting, { come: 0, left: 0 });
    Object.assign(streams, { begun: 0, ended: 0 });
    for (const list of [calls, lines]) list.length = 0;
  });
}

export const good = { authorization: 'Bearer good' };
export const addressOf = (path: string) => `${url}${path}`;
/** Asks as nobody; `get` and `post` as somebody who may. */
export const ask = (path: string, init?: RequestInit) => fetch(addressOf(path), init);
export const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(addressOf(path), { headers: { ...good, ...headers } });
export const post = (body: string | Buffer, headers: Record<string, string> = {}, path = '/v1/things/abc') =>
  fetch(addressOf(path), {
    method: 'POST',
    headers: { ...good, 'content-type': 'application/json', ...headers },
    body: body as string,
  });
/** The problem that an answer must be. It refuses to be asked for what is not in it. */
export const problemOf = async (answer: Response) => {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return parseStrictly(await answer.text());
};

/** Sends bytes as they are, and resolves with all that comes back. */
export function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
