import { request as httpRequest } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type FinishedSpan, recordSpansTo } from '#shared/adapters/tracing/spans.ts';
import { type FailureCode, failureCodes } from '#shared/domain/failure.ts';
import {
  addressOf,
  ask,
  calls,
  get,
  good,
  lines,
  metrics,
  post,
  problemOf,
  serveTestRoutes,
  streams,
  waiting,
} from './app.fixture.ts';

serveTestRoutes();

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
    const preflight = await ask('/v1/things', {
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
    const received = (size: number, accept: string) =>
      new Promise<{ headers: Record<string, string | string[] | undefined>; body: Buffer }>((resolve, reject) => {
        httpRequest(
          addressOf(`/v1/things?size=${size}`),
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
    const small = await received(10, 'gzip');
    expect(small.headers['content-encoding']).toBeUndefined();
    const plain = await received(5_000, 'br, gzip;q=0');
    expect([plain.headers['content-encoding'], plain.headers['vary']]).toEqual([undefined, 'accept-encoding']);
    const packed = await received(5_000, 'br;q=1, gzip;q=0.5');
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

  it.each([
    ['repeat it under the same key', '/v1/slow-keyed-changes', 'k-1', /same Idempotency-Key/],
    ['look before, without a key', '/v1/slow-keyed-changes', undefined, /look before you repeat it\.$/],
    ['look before, where no key is taken', '/v1/slow-changes', 'k-1', /look before you repeat it\.$/],
  ])('to a change that takes too long says that it may have been done: %s', async (_remedy, path, key, remedy) => {
    const headers = { ...good, ...(key !== undefined && { 'idempotency-key': key }) };
    const answer = await ask(path, { method: 'POST', headers });
    const { code, detail } = await problemOf(answer);
    expect([answer.status, code, detail]).toEqual([503, 'outcome-unknown', expect.stringMatching(remedy)]);
  });

  it('to HEAD ends its stream at once', async () => {
    const head = await ask('/v1/stream', { method: 'HEAD', headers: good });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const { begun, ended } = streams;
    expect([begun, ended]).toEqual([1, 1]);
  });

  it('may be a stream, which comes piece by piece and ends with its reader', async () => {
    const stop = new AbortController();
    const answer = await ask('/v1/stream', { headers: good, signal: stop.signal });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('content-encoding')).toBeNull();
    const reader = answer.body?.getReader();
    let text = '';
    while (!text.includes('data: 2')) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    stop.abort();
    await expect.poll(() => [calls[0]?.signal.aborted, streams.ended], { timeout: 15_000 }).toEqual([true, 1]);
  });
});

describe('a caller who leaves before his turn', () => {
  it('is neither an error nor slow: he has a status of his own in numbers and log', async () => {
    const leaves = new AbortController();
    const asked = ask('/v1/things', { headers: { authorization: 'Bearer waiting' }, signal: leaves.signal });
    await expect.poll(() => waiting.come).toBe(1);
    leaves.abort();
    await expect(asked).rejects.toThrow('aborted');
    await expect.poll(() => waiting.left).toBe(1);
    waiting.end();
    await expect.poll(() => lines.length).toBe(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', operation: 'list', status: 499 });
    const counted = await metrics.registry.getSingleMetricAsString('fleet_request_duration_seconds');
    const ofList = counted.split('\n').filter((line) => /_count\{.*type="list"/.test(line));
    expect(ofList.filter((line) => line.includes('outcome="gone",status="499"} 1'))).toHaveLength(1);
    expect(ofList.join()).not.toContain('status="503"');
  });
});

describe('the log', () => {
  it('has one line for a line, whatever comes in', async () => {
    await get('/v1/failures/bug?x=%0a%7b%22level%22:%22fatal%22%7d', { 'user-agent': 'x\u00e9' });
    // on a busy machine it is slow besides
    expect(lines.filter((line) => !line.includes('a slow request'))).toHaveLength(1);
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
