import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ping } from '#events/knative/ping.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { maxEventBytes } from '#shared/adapters/eventing/receive.ts';
import type { DeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import { currentContext } from '#shared/adapters/tracing/request-context.ts';
import { Failure, type FailureCode } from '#shared/domain/failure.ts';
import { type EventFunctionOptions, eventFunction } from './event-function.ts';
import type { HostRequest, HttpHandler } from './http-function.ts';
import { makeMetrics } from './metrics.ts';

const definitions = [operationAdvance, ping] as const;
type Options = EventFunctionOptions<typeof definitions>;

const advance = {
  'ce-specversion': '1.0',
  'ce-id': 'id-1',
  'ce-source': 'urn:odoo-fleet',
  'ce-type': operationAdvance.type,
  'ce-subject': operationAdvance.example.instance,
  'ce-operationid': operationAdvance.example.operation,
  'content-type': 'application/json',
};
const body = JSON.stringify(operationAdvance.example);

function makeFunction(options: Partial<Options> = {}) {
  const dead: DeadEvent[] = [];
  const lines: string[] = [];
  const handler = eventFunction({
    name: 'provision',
    definitions,
    authorise: async () => ({ customerId: null }),
    handle: async () => 'done',
    storeDead: async (event) => void dead.push(event),
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) }),
    ...options,
  });
  return { handler, dead, lines };
}

async function send(
  handler: HttpHandler,
  headers: IncomingHttpHeaders,
  data: string | Buffer,
  more: Partial<HostRequest> = {},
) {
  const request = { method: 'POST', url: '/', headers, rawHeaders: [], rawBody: Buffer.from(data), ...more };
  const written = { status: 0, headers: {} as Record<string, string>, body: undefined as unknown };
  const response = {
    writeHead: (status: number, given: Record<string, string>) => Object.assign(written, { status, headers: given }),
    end: (text: unknown) => Object.assign(written, { body: text }),
  };
  await handler(request as unknown as HostRequest, response as unknown as ServerResponse);
  return written;
}

describe('an event function', () => {
  it('hands the typed event over and answers 204 with an empty body and the outcome', async () => {
    const seen: unknown[] = [];
    const { handler } = makeFunction({
      handle: async (event) => {
        if (event.type === 'dev.odoofleet.operation.advance') seen.push(event.data.operation, currentContext());
        return 'waiting';
      },
    });
    const answer = await send(handler, { ...advance, 'x-request-id': 'r-1' }, body);
    expect(answer).toMatchObject({ status: 204, body: undefined });
    expect(answer.headers).toMatchObject({ 'x-outcome': 'waiting', 'x-request-id': 'r-1' });
    expect(answer.headers['x-response-time']).toMatch(/^\d+\.\dms$/);
    const { operation } = operationAdvance.example;
    expect(seen).toMatchObject([operation, { requestId: 'r-1', eventId: 'id-1', operationId: operation }]);
  });

  it.each<[string, IncomingHttpHeaders, string | Buffer, string]>([
    ['no CloudEvent', {}, '{}', 'specversion is missing'],
    ['not JSON', advance, '{"operation":', 'data is not JSON'],
    ['another content type', { ...advance, 'content-type': 'text/plain' }, 'x', 'datacontenttype is "text/plain"'],
    ['a type that is not its own', { ...advance, 'ce-type': 'some.type' }, body, 'not in the catalogue'],
    ['another version', { ...advance, 'ce-type': `${operationAdvance.type}.v2` }, body, 'Version 2'],
    ['missing fields', advance, '{}', 'data.operation is missing'],
    ['extra fields', advance, body.replace('{', '{"extra":1,'), 'data.extra is not a known field'],
    ['NUL', advance, body.replace('Deployment', '\\u0000'), 'data.reason must be one line of text'],
    ['a batch', { 'content-type': 'application/cloudevents-batch+json' }, '[]', 'Batches are not accepted'],
    ['more than 1 MiB', advance, Buffer.alloc(maxEventBytes + 1, ' '), 'larger than 1048576 bytes'],
  ])('keeps %s with a reason and answers 204', async (_, headers, data, reason) => {
    const { handler, dead } = makeFunction();
    expect(await send(handler, headers, data)).toMatchObject({
      status: 204,
      body: undefined,
      headers: { 'x-outcome': 'refused' },
    });
    expect(dead).toHaveLength(1);
    expect(dead[0]).toMatchObject({
      receivedBy: 'provision',
      reasonCode: 'invalid-event',
      reason: expect.stringContaining(reason),
      id: headers['ce-id'] ?? null,
      type: headers['ce-type'] ?? null,
      contentType: headers['content-type'] ?? null,
    });
    expect(Buffer.from(dead[0]?.body ?? []).equals(Buffer.from(data).subarray(0, 65_536))).toBe(true);
    expect((await send(handler, advance, body)).headers['x-outcome']).toBe('done');
  });

  it('keeps what a host says was too large, and a structured event’s attributes', async () => {
    const { handler, dead } = makeFunction();
    await send(handler, advance, 'the beginning', { bodyIsTooLarge: true });
    await send(handler, { 'content-type': 'application/cloudevents+json' }, '{"id":"7","source":"/s","x":1,"data":{}}');
    expect(dead[0]).toMatchObject({ reason: expect.stringContaining('larger than'), id: 'id-1' });
    expect(dead[1]).toMatchObject({ id: '7', source: '/s', type: null, attributes: { id: '7', source: '/s', x: '1' } });
  });

  it('asks who may say it before anything is done, and hands the answer over', async () => {
    const calls: string[] = [];
    const { handler } = makeFunction({
      authorise: async ({ source, type, extensions }) => {
        calls.push(`${source} says ${type} (${Object.keys(extensions).join()})`);
        return { customerId: 'c-1' };
      },
      handle: async (_, { customerId }) => {
        calls.push(`handled for ${customerId}`);
        return 'done';
      },
    });
    await send(handler, advance, body);
    expect(calls).toEqual([`urn:odoo-fleet says ${operationAdvance.type} (operationid)`, 'handled for c-1']);
  });

  it.each<[FailureCode, number, number]>([
    ['not-allowed', 204, 1],
    ['unavailable', 503, 0],
    ['misconfigured', 500, 0],
  ])('handles nothing when the source’s authority ends with %s', async (code, status, kept) => {
    let handled = 0;
    const { handler, dead } = makeFunction({
      authorise: () => Promise.reject(new Failure(code, 'because')),
      handle: async () => {
        handled += 1;
        return 'done';
      },
    });
    expect(await send(handler, advance, body)).toMatchObject({ status });
    expect(dead.map(({ reasonCode, reason }) => [reasonCode, reason])).toEqual(kept ? [[code, 'because']] : []);
    expect(handled).toBe(0);
  });

  it.each<[FailureCode, number, string, number]>([
    ['quota-exceeded', 204, 'refused', 1],
    ['unavailable', 503, 'unavailable', 0],
    ['fenced', 204, 'fenced', 0],
    ['misconfigured', 500, 'error', 0],
  ])('answers a failure %s with %i %s', async (code, status, outcome, kept) => {
    const { handler, dead } = makeFunction({ handle: () => Promise.reject(new Failure(code, 'because')) });
    expect(await send(handler, advance, body)).toMatchObject({ status, headers: { 'x-outcome': outcome } });
    expect(dead).toHaveLength(kept);
  });

  it('answers a bug with 500, says nothing of it in the body and logs it', async () => {
    const { handler, lines } = makeFunction({ handle: () => Promise.reject(new TypeError('x is undefined')) });
    expect(await send(handler, advance, body)).toMatchObject({
      status: 500,
      body: '',
      headers: { 'x-outcome': 'error' },
    });
    expect(lines.join('')).toContain('x is undefined');
  });

  it('answers 503 when a refused event cannot be kept, so that it comes again', async () => {
    const { handler } = makeFunction({ storeDead: () => Promise.reject(new Error('database is down')) });
    expect(await send(handler, {}, '{}')).toMatchObject({ status: 503, headers: { 'x-outcome': 'unavailable' } });
  });

  it('takes a tick without data and without content type', async () => {
    const { 'content-type': _, ...headers } = { ...advance, 'ce-type': ping.type };
    expect((await send(makeFunction().handler, headers, '')).headers['x-outcome']).toBe('done');
  });

  it('answers other methods than POST with 405', async () => {
    const answer = await send(makeFunction().handler, {}, '', { method: 'GET' });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  });

  it('logs slow requests and counts all of them by outcome', async () => {
    const metrics = makeMetrics({ functionName: 'provision', withNodeMetrics: false });
    const { handler, lines } = makeFunction({ metrics, slowMs: -1 });
    await send(handler, advance, body);
    await send(handler, { ...advance, 'ce-type': 'a.type.of.somebody' }, body);
    expect(lines.join('')).toContain('a slow request');
    const { text } = await metrics.render();
    expect(text).toContain('outcome="done"');
    expect(text).toContain('type="unknown"');
    expect(text).not.toContain('a.type.of.somebody');
  });
});
