import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import * as v from 'valibot';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FinishedSpan, recordSpansTo } from '#shared/adapters/tracing/spans.ts';
import { Failure, type FailureCode, failureCodes } from '#shared/domain/failure.ts';
import { openLog } from '#shared/runtime/log.ts';
import { type Served, serve } from '#shared/runtime/serve.ts';
import { apiHandler } from './app.ts';
import type { LimitAnswer } from './ports.ts';
import { type Call, nobody, type Route, route } from './route.ts';

const roomLeft: LimitAnswer = { isAllowed: true, limit: 100, remaining: 99, retryAfterMs: 0 };
let limited: LimitAnswer;
let calls: Call[];
let lines: string[];
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
    async handle({ params }) {
      if (params.code === 'bug') throw new TypeError('secret-internals are undefined');
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

let begun = 0;
let ended = 0;
async function* pieces(signal: AbortSignal): AsyncGenerator<string> {
  begun += 1;
  try {
    for (let at = 0; at < 3; at += 1) yield `data: ${at}\n\n`;
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    ended += 1;
  }
}

beforeAll(async () => {
  const stream = new Writable({ write: (chunk: Buffer, _encoding, next) => (lines.push(chunk.toString()), next()) });
  const log = openLog({
    name: 'api',
    level: 'info',
    stream: stream as unknown as NonNullable<Parameters<typeof openLog>[0]['stream']>,
  });
  const handler = apiHandler({
    routes,
    access: {
      async authenticate({ authorization }) {
        if (authorization === 'Bearer support') return { ...nobody, role: 'support', scopes: ['instances:read'] };
        if (authorization === 'Bearer weak') return nobody;
        if (authorization !== 'Bearer good') throw new Failure('unauthenticated', 'Send a bearer token.');
        return { ...nobody, id: 'u-1', scopes: ['instances:read'] };
      },
      limit: async ({ id }) => (id === '10.1.1.1' ? { ...roomLeft, isAllowed: false } : limited),
    },
    log,
    slowMs: 40,
  });
  served = await serve(handler, { port: 0, host: '127.0.0.1', log, requestTimeoutMs: 300, drainTimeoutMs: 500 });
  url = `http://127.0.0.1:${served.port}`;
});
afterAll(() => served.drain());
beforeEach(() => {
  [limited, calls, lines, begun, ended] = [roomLeft, [], [], 0, 0];
});

const good = { authorization: 'Bearer good' };
const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { headers: { ...good, ...headers } });
const post = (body: string | Buffer, headers: Record<string, string> = {}, path = '/v1/things/abc') =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { ...good, 'content-type': 'application/json', ...headers },
    body: body as string,
  });
// oxlint-disable-next-line typescript/no-explicit-any -- tests look into it as they like
const problemOf = async (answer: Response): Promise<any> => {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return await answer.json();
};

describe('a request', () => {
  it('reaches its route as the schemas made it', async () => {
    const answer = await post(JSON.stringify({ name: 'x', size: 3 }), {}, '/v1/things/abc?limit=3');
    expect([answer.status, await answer.json()]).toEqual([200, { id: 'abc', limit: '3', name: 'x', size: 3 }]);
    expect(calls[0]?.principal.id).toBe('u-1');
  });

  it.each([
    ['{}', 'body.name', 'It is missing'],
    ['{"name":1}', 'body.name', 'Write string'],
    ['{"name":"x","colour":"red"}', 'body.colour', 'It is not known here'],
    ['{"name":"x","owner":{"email":5}}', 'body.owner.email', 'Write string'],
    ['{"name":"x","__proto__":{"a":1}}', 'body.__proto__', 'It is not known here'],
    ['[]', 'body.name', 'It is missing'],
    ['7', 'body', 'Write'],
    ['{"name":', 'body', 'It is no JSON'],
    ['', 'body', 'It is missing'],
    [Buffer.from([0x22, 0xff, 0x22]), 'body', 'It is no JSON in UTF-8'],
  ])('with the body %s is refused, and the field is named', async (body, field, text) => {
    const answer = await post(body);
    const { status, errors, requestId } = await problemOf(answer);
    expect([answer.status, status, errors[0].field]).toEqual([400, 400, field]);
    expect(errors[0].detail).toContain(text);
    expect(requestId).toBe(answer.headers.get('x-request-id'));
    expect(calls).toEqual([]);
  });

  it('is told all its mistakes at once', async () => {
    const { errors } = await problemOf(await post('{"size":"big","more":1}'));
    expect(errors.map(({ field }: { field: string }) => field).sort()).toEqual(['body.more', 'body.name', 'body.size']);
  });

  it.each([
    ['/v1/things/ABC', 'path.id'],
    ['/v1/things/..%2f..%2fetc%2fpasswd', 'path.id'],
    ['/v1/things/%00', 'path.id'],
    ['/v1/things/abc?limit=x', 'query.limit'],
    ['/v1/things/abc?limit=1&limit=2', 'query.limit'],
    ['/v1/things/abc?__proto__=1', 'query.__proto__'],
    ['/v1/things/abc?fields=name', 'query.fields'],
  ])('to %s is refused, and the field is named', async (path, field) => {
    const { errors } = await problemOf(await post('{"name":"x"}', {}, path));
    expect(errors[0].field).toBe(field);
  });

  it('may have a body of one mebibyte and not a byte more', async () => {
    const bodyOf = (bytes: number) => `{"name":"${'x'.repeat(bytes - 11)}"}`;
    expect((await post(bodyOf(1024 * 1024))).status).toBe(200);
    const larger = await post(bodyOf(1024 * 1024 + 1));
    expect([larger.status, (await problemOf(larger)).errors[0].field]).toEqual([413, 'body']);
  });

  it('must say that its body is JSON', async () => {
    const answer = await post('name=x', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([answer.status, (await problemOf(answer)).errors[0].field]).toEqual([415, 'header.content-type']);
    expect((await post('{"name":"x"}', { 'content-type': 'application/merge-patch+json; charset=utf-8' })).status).toBe(
      200,
    );
  });

  it('is refused with too many or with doubtful headers', async () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`x-${at}`, '1']));
    expect((await problemOf(await get('/v1/things', many))).errors[0].field).toBe('header');
    expect((await get('/v1/things', { 'x-long': 'x'.repeat(20_000) })).status).toBe(431);
    const twice = await raw(
      `GET /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\nauthorization: Bearer weak\r\nconnection: close\r\n\r\n`,
    );
    expect(twice).toMatch(/^HTTP\/1.1 400 [\s\S]*header\.authorization/);
  });

  it('that comes too slowly is cut off', async () => {
    expect(await raw('POST /v1/things/abc HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{')).toMatch(
      /^HTTP\/1.1 408 /,
    );
    expect(await raw('GET /v1/things HTTP/1.1\r\nhost: x\r\nx-slow: ')).toMatch(/^HTTP\/1.1 408 /);
  });

  it('without a host, or for another server, gets an answer all the same', async () => {
    expect(await raw('GET /v1/open HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 \d{3} /);
    expect(await raw('GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 4\d\d /);
  });

  it('for nothing, or by another method, is told so', async () => {
    const nothing = await get('/v2/things');
    expect([nothing.status, (await problemOf(nothing)).errors[0].field]).toEqual([404, 'path']);
    const method = await fetch(`${url}/v1/things`, { method: 'DELETE', headers: good });
    expect([method.status, method.headers.get('allow'), (await problemOf(method)).status]).toEqual([
      405,
      'GET, HEAD',
      405,
    ]);
  });

  it('for the head of a thing gets no body', async () => {
    const head = await fetch(`${url}/v1/things`, { method: 'HEAD', headers: good });
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', expect.any(String)]);
  });
});

describe('who asks', () => {
  it('must be known, must be allowed, and may not ask too often', async () => {
    const unknown = await fetch(`${url}/v1/things`);
    expect([unknown.status, unknown.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="odoo-fleet"']);
    expect((await problemOf(unknown)).errors[0].field).toBe('header.authorization');
    const weak = await get('/v1/things', { authorization: 'Bearer weak' });
    expect([weak.status, (await problemOf(weak)).detail]).toEqual([403, expect.stringContaining('instances:read')]);
    limited = { isAllowed: false, limit: 100, remaining: 0, retryAfterMs: 12_300 };
    const often = await get('/v1/things');
    expect([often.status, often.headers.get('retry-after')]).toEqual([429, '13']);
  });

  it('as support may take nothing away', async () => {
    const remove = (authorization: string) =>
      fetch(`${url}/v1/removals`, { method: 'POST', headers: { authorization } });
    expect([(await remove('Bearer support')).status, (await remove('Bearer good')).status]).toEqual([403, 204]);
  });

  it('may be limited by his address where anybody may ask', async () => {
    expect((await get('/v1/attempts')).status).toBe(200);
    expect((await get('/v1/attempts', { 'x-forwarded-for': '10.1.1.2, 10.1.1.1' })).status).toBe(200);
    expect((await get('/v1/attempts', { 'x-forwarded-for': '10.1.1.1, 10.1.1.2' })).status).toBe(429);
    expect((await get('/v1/attempts', { 'x-forwarded-for': 'x'.repeat(500) })).status).toBe(200);
  });

  it('is nobody where anybody may ask, whatever he sends', async () => {
    expect(await (await get('/v1/open')).json()).toEqual(nobody);
  });
});

describe('an answer', () => {
  it('may be framed, read and kept by nobody else', async () => {
    for (const path of ['/v1/things', '/v1/nothing']) {
      const { headers } = await get(path, { origin: 'https://evil.example' });
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'");
      expect(headers.get('cache-control')).toMatch(/^(private, no-cache|no-store)$/);
    }
    const kept = await get('/v1/attempts');
    expect([kept.headers.get('cache-control'), kept.headers.get('etag')]).toEqual(['no-store', null]);
    const preflight = await fetch(`${url}/v1/things`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
  });

  it("carries the caller's request id, or one of ours where his is none", async () => {
    const own = await get('/v1/things', { 'x-request-id': 'abc-1' });
    expect(own.headers.get('x-request-id')).toBe('abc-1');
    const wrong = await get('/v1/things', { 'x-request-id': 'a b<script>' });
    expect(wrong.headers.get('x-request-id')).toMatch(/^[0-9a-f-]+$/);
    expect(wrong.headers.get('x-response-time')).toMatch(/^\d+\.\d\dms$/);
    expect(own.headers.get('ratelimit-remaining')).toBe('99');
  });

  it('is compressed from one kibibyte on, for who takes it, with a validator of its own', async () => {
    const ask = (size: number, accept: string) =>
      new Promise<{ headers: Record<string, string | string[] | undefined>; body: Buffer }>((resolve, reject) => {
        httpRequest(
          `${url}/v1/things?size=${size}`,
          { headers: { ...good, 'accept-encoding': accept } },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
          },
        )
          .on('error', reject)
          .end();
      });
    const small = await ask(10, 'gzip');
    expect(small.headers['content-encoding']).toBeUndefined();
    const plain = await ask(5_000, 'br, gzip;q=0');
    expect([plain.headers['content-encoding'], plain.headers['vary']]).toEqual([undefined, 'accept-encoding']);
    const packed = await ask(5_000, 'br;q=1, gzip;q=0.5');
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(packed.body)).toEqual(plain.body);
    expect(Number(packed.headers['content-length'])).toBe(packed.body.length);
    expect(packed.headers['etag']).not.toBe(plain.headers['etag']);
    for (const tag of [packed.headers['etag'], plain.headers['etag'], `W/${String(plain.headers['etag'])}`, '*'])
      expect((await get('/v1/things?size=5000', { 'if-none-match': String(tag) })).status).toBe(304);
  });

  it('has only the fields that are asked for, under another validator', async () => {
    const whole = await get('/v1/things');
    const part = await get('/v1/things?fields=name');
    expect(await part.json()).toEqual({ items: [{ name: 'a' }], next: null });
    expect(part.headers.get('etag')).not.toBe(whole.headers.get('etag'));
    expect((await problemOf(await get('/v1/things?fields=name,secret'))).errors[0].field).toBe('query.fields');
  });

  it.each(Object.keys(failureCodes) as FailureCode[])(
    'to %s has a status and says what to do, and nothing of servers',
    async (code) => {
      const answer = await get(`/v1/failures/${code}`);
      const problem = await problemOf(answer);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(problem).toMatchObject({
        status: answer.status,
        title: expect.any(String),
        errors: [{ field: expect.any(String) }],
      });
      expect(problem.type).toBe(`urn:odoo-fleet:problem:${problem.code}`);
      const isOurs = answer.status >= 500 && code !== 'no-capacity';
      expect(problem.detail.includes('secret-internals')).toBe(!isOurs);
      if (answer.status === 503 || answer.status === 429) expect(answer.headers.get('retry-after')).toBe('2');
    },
  );

  it('to a bug tells nothing of it; the log has it under the same id', async () => {
    const answer = await get('/v1/failures/bug', { 'x-request-id': 'find-me' });
    const text = await answer.text();
    expect([answer.status, text.includes('secret-internals')]).toEqual([500, false]);
    const line = lines.find((one) => one.includes('secret-internals')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ level: 'error', requestId: 'find-me' });
  });

  it('that takes too long is 503, ends the work, and is logged as slow', async () => {
    const answer = await get('/v1/slow');
    expect([answer.status, (await problemOf(answer)).code]).toEqual([503, 'timeout']);
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(lines.some((line) => line.includes('a slow request') && line.includes('"operation":"slow"'))).toBe(true);
  });

  it('to a change that takes too long says that it may have been done', async () => {
    const answer = await fetch(`${url}/v1/slow-changes`, { method: 'POST', headers: good });
    const { code, detail } = await problemOf(answer);
    expect([answer.status, code, detail]).toEqual([503, 'outcome-unknown', expect.stringContaining('Idempotency-Key')]);
  });

  it('to HEAD ends its stream at once', async () => {
    const head = await fetch(`${url}/v1/stream`, { method: 'HEAD', headers: good });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect([begun, ended]).toEqual([1, 1]);
  });

  it('may be a stream, which comes piece by piece and ends with its reader', async () => {
    const stop = new AbortController();
    const answer = await fetch(`${url}/v1/stream`, { headers: good, signal: stop.signal });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('content-encoding')).toBeNull();
    const reader = answer.body?.getReader();
    let text = '';
    while (!text.includes('data: 2')) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    stop.abort();
    await expect.poll(() => [calls[0]?.signal.aborted, ended]).toEqual([true, 1]);
  });
});

describe('the log', () => {
  it('has one line for a line, whatever comes in', async () => {
    await get('/v1/failures/bug?x=%0a%7b%22level%22:%22fatal%22%7d', { 'user-agent': 'x\u00e9' });
    for (const line of lines) expect(JSON.parse(line).level).not.toBe('fatal');
    expect(lines.join('')).not.toContain('Bearer good');
  });
});

describe('a trace', () => {
  it('has the request under its route, sent before the answer, and nothing a caller wrote', async () => {
    const spans: FinishedSpan[] = [];
    let flushes = 0;
    recordSpansTo({ record: (span) => void spans.push(span), flush: async () => void (flushes += 1) });
    try {
      await post('{"name":"x"}', { 'x-request-id': 'r-1' }, '/v1/things/somebody?limit=3');
    } finally {
      recordSpansTo(undefined);
    }
    expect(flushes).toBe(1);
    expect(spans).toMatchObject([
      {
        name: 'POST /v1/things/{id}',
        kind: 'server',
        attributes: { 'http.response.status_code': 200, 'fleet.request_id': 'r-1' },
      },
    ]);
    expect(JSON.stringify(spans)).not.toContain('somebody');
  });
});

function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
