import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { contextOf, currentContext, runInContext } from '#shared/adapters/tracing/request-context.ts';
import { flushSpans, isRecording, recordRequest } from '#shared/adapters/tracing/spans.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { type Answer, bug, writeAnswer } from './answer.ts';
import { type Body, defaultBodyLimitBytes, readBody } from './body.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A request whose body was read. */
export type RawRequest = {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  rawHeaders: readonly string[];
  /** When it was larger than the host's limit: what came first. */
  body: Buffer;
  isTooLarge: boolean;
};

/** What a host hands over: Node's request with the body read into `rawBody`, as functions-framework does it. */
export type HostRequest = IncomingMessage & { rawBody?: Buffer; bodyIsTooLarge?: boolean };

/**
 * A function for HTTP. The same value runs under `serve()` and is registered with functions-framework's
 * `http(name, handler)`.
 */
export type HttpHandler = (request: HostRequest, response: ServerResponse) => Promise<void>;

export type HttpFunctionOptions = {
  log: Log;
  metrics?: Metrics;
  /** Slower requests are logged as a warning. Default 1,000 ms. */
  slowMs?: number;
};

/**
 * Wraps the handling of a request: request and trace ids, time, numbers, and an answer whatever happens. `handle` gives
 * the answer as data; a `type` besides it labels the numbers (keep to a closed list).
 */
export function httpFunction(
  handle: (request: RawRequest) => Promise<Answer & { type?: string }>,
  options: HttpFunctionOptions,
): HttpHandler {
  const { log, metrics } = options;
  const slowMs = options.slowMs ?? 1_000;
  return async (request, response) => {
    const startedMs = performance.now();
    const context = contextOf(request.headers);
    await runInContext(context, async () => {
      const answer = await handle(await rawRequestOf(request)).catch((caught: unknown) => {
        log.error({ err: asFailure(caught) }, 'a request ended with a bug');
        return { ...bug, type: 'unknown' };
      });
      const { status, outcome } = answer;
      if (isRecording()) {
        recordSpan(request, answer, performance.now() - startedMs);
        await flushSpans();
      }
      const milliseconds = performance.now() - startedMs;
      writeAnswer(response, answer, { requestId: context.requestId, milliseconds });
      metrics?.observeRequest({ type: answer.type ?? 'http', outcome, status, seconds: milliseconds / 1_000 });
      if (milliseconds > slowMs) log.warn({ milliseconds: Math.round(milliseconds), outcome }, 'a slow request');
    });
  };
}

function recordSpan(
  { method, headers }: HostRequest,
  { type, status, outcome }: Answer & { type?: string },
  milliseconds: number,
): void {
  const context = currentContext();
  if (context === undefined) return;
  const isEvent = headers['ce-id'] !== undefined || type !== undefined;
  const { eventId, operationId } = context;
  recordRequest(context, {
    name: isEvent ? `process ${type ?? 'unknown'}` : `${method ?? 'GET'} request`,
    kind: isEvent ? 'consumer' : 'server',
    milliseconds,
    failure: status >= 500 ? outcome : undefined,
    attributes: {
      'http.response.status_code': status,
      'fleet.outcome': outcome,
      'fleet.request_id': context.requestId,
      ...(type === undefined ? {} : { 'cloudevents.event_type': type }),
      // a sender may put anything into an id, an address of a person, too
      ...(eventId === undefined || !plainId.test(eventId) ? {} : { 'cloudevents.event_id': eventId }),
      ...(operationId === undefined || !plainId.test(operationId) ? {} : { 'fleet.operation_id': operationId }),
    },
  });
}

const plainId = /^[A-Za-z0-9._:-]{1,128}$/;

async function rawRequestOf(request: HostRequest): Promise<RawRequest> {
  const { rawBody: body, bodyIsTooLarge: isTooLarge } = request;
  const read = body === undefined ? await readUnread(request) : { body, isTooLarge: isTooLarge === true };
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    ...read,
  };
}

/** functions-framework leaves the body of a request without Content-Type unread. */
function readUnread(request: HostRequest): Promise<Body> {
  if (request.readableEnded) return Promise.resolve({ body: Buffer.alloc(0), isTooLarge: false });
  return new Promise((onRead) => readBody(request, { limit: defaultBodyLimitBytes, onRead }));
}
