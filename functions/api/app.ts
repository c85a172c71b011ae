import type { ServerResponse } from 'node:http';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { contextOf, currentContext, runInContext } from '#shared/adapters/tracing/request-context.ts';
import { flushSpans, isRecording, recordRequest } from '#shared/adapters/tracing/spans.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { callerAddress, type TrustedProxies } from '#shared/runtime/access/caller-address.ts';
import { defaultBodyLimitBytes, readBody } from '#shared/runtime/body.ts';
import type { HostRequest, HttpHandler } from '#shared/runtime/http-function.ts';
import type { Log } from '#shared/runtime/log.ts';
import type { Metrics } from '#shared/runtime/metrics.ts';
import { type Finished, failed, finish, finishedByCaller } from './frame/finish.ts';
import type { Gone } from './frame/in-time.ts';
import { type Responded, type RoutedRequest, respond } from './frame/respond.ts';
import type { AccessPorts } from './ports.ts';
import type { Route } from './route.ts';

export type AppOptions = {
  routes: readonly Route[];
  access: AccessPorts;
  log: Log;
  metrics?: Metrics;
  /** What must be over before the answer, such as renewals of the cache: nothing runs after it. */
  settle?: () => Promise<void>;
  /** Slower requests are logged as a warning. Default 1,000 ms. */
  slowMs?: number;
  /** Before us. Default: one. */
  proxies?: TrustedProxies;
};

type Bindings = { Bindings: HttpBindings };

/** The whole API as one handler: under `serve()`, and under functions-framework. */
export function apiHandler(options: AppOptions): HttpHandler {
  const app = new Hono<Bindings>();
  for (const route of options.routes) {
    const path = route.path.replaceAll(/\{([a-zA-Z]+)\}/g, ':$1');
    app.on(route.method, path, (context) => answer(route, context, options));
  }
  const refusals = refusalsOf(options);
  app.notFound((context) => refusals.fetch(context.req.raw, context.env));
  app.onError(bugOf(options));
  const listener = getRequestListener(app.fetch, {
    errorHandler: () => new Response(null, { status: 400 }),
  });
  return (request, response) => runInContext(contextOf(request.headers), () => listener(request, response));
}

/** What no route takes. An app of its own: where one handler matches, Hono calls it at once, else it makes a chain of them. */
function refusalsOf(options: AppOptions): Hono<Bindings> {
  const app = new Hono<Bindings>();
  for (const [path, methods] of methodsByPath(options.routes)) {
    app.all(path, (context) => refuse(context, options, { status: 405, allow: methods }));
  }
  app.notFound((context) => refuse(context, options, { status: 404 }));
  app.onError(bugOf(options));
  return app;
}

/** Whatever a frame of ours did not see coming. */
function bugOf({ log }: Pick<AppOptions, 'log'>): (error: Error) => Response {
  return (error) => {
    log.error({ err: error }, 'a request ended with a bug');
    return new Response(null, { status: 500 });
  };
}

function methodsByPath(routes: readonly Route[]): Map<string, string> {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of routes) {
    const key = path.replaceAll(/\{([a-zA-Z]+)\}/g, ':$1');
    const known = methods.get(key) ?? new Set<string>();
    known.add(method);
    if (method === 'GET') known.add('HEAD');
    methods.set(key, known);
  }
  return new Map([...methods].map(([path, words]) => [path, [...words].sort().join(', ')]));
}

async function answer(route: Route, context: Context<Bindings>, options: AppOptions): Promise<Response> {
  const startedMs = performance.now();
  const requestId = currentContext()?.requestId ?? '';
  const request = await routedRequest(context, requestId, options);
  const responded: Responded | Gone | Failure = await respond(route, request, options.access).catch(asFailure);
  if (responded instanceof Failure) logFailure(options.log, responded);
  const finished = await finishedOf(responded, { route, request });
  await options.settle?.();
  await traceRequest(route, finished, performance.now() - startedMs);
  return written(finished, { startedMs, requestId, type: route.operationId, options });
}

async function finishedOf(
  responded: Responded | Gone | Failure,
  { route, request }: { route: Route; request: RoutedRequest },
): Promise<Finished> {
  if (responded === 'gone') return finishedByCaller;
  if (responded instanceof Failure) return failed(responded, request.requestId, { isKeyed: isKeyed(route, request) });
  return await finish(route, request, responded);
}

/** Is it done once, however often it is repeated? */
function isKeyed({ takes }: Route, { headers }: RoutedRequest): boolean {
  return takes?.['idempotency-key'] !== undefined && headers['idempotency-key'] !== undefined;
}

/** The request as a span, sent before the answer. Its path is the route's: what a caller wrote is in no trace. */
async function traceRequest(route: Route, { status, outcome }: Finished, milliseconds: number): Promise<void> {
  const context = currentContext();
  if (context === undefined || !isRecording()) return;
  recordRequest(context, {
    name: `${route.method} ${route.path}`,
    kind: 'server',
    milliseconds,
    failure: status >= 500 ? outcome : undefined,
    attributes: {
      'http.response.status_code': status,
      'http.route': route.path,
      'fleet.outcome': outcome,
      'fleet.request_id': context.requestId,
    },
  });
  await flushSpans();
}

/** 404 and 405 of the frame itself: nobody is asked who he is. */
async function refuse(
  context: Context<Bindings>,
  options: AppOptions,
  { status, allow }: { status: 404 | 405; allow?: string },
): Promise<Response> {
  const startedMs = performance.now();
  const requestId = currentContext()?.requestId ?? '';
  const text =
    status === 404
      ? 'There is nothing at this path: /openapi.json lists what there is.'
      : `${context.req.method} is not possible here: ${allow ?? ''} are.`;
  const field = status === 404 ? 'path' : 'method';
  const finished = failed(new Failure('not-found', text, { facts: { field } }), requestId, { status });
  const headers = allow === undefined ? finished.headers : { ...finished.headers, allow };
  return written({ ...finished, headers }, { startedMs, requestId, type: 'unknown', options });
}

function written(
  { status, headers, body, outcome }: Finished,
  request: { startedMs: number; requestId: string; type: string; options: AppOptions },
): Response {
  const { log, metrics, slowMs = 1_000 } = request.options;
  const milliseconds = performance.now() - request.startedMs;
  metrics?.observeRequest({ type: request.type, outcome, status, seconds: milliseconds / 1_000 });
  // how long somebody waited who then left is his own choice
  if (outcome === finishedByCaller.outcome)
    log.info(
      { operation: request.type, status, milliseconds: Math.round(milliseconds) },
      'a caller left before his turn',
    );
  else if (milliseconds > slowMs)
    log.warn({ operation: request.type, milliseconds: Math.round(milliseconds), outcome }, 'a slow request');
  return new Response(body as ConstructorParameters<typeof Response>[0], {
    status,
    headers: {
      ...headers,
      'x-outcome': outcome,
      'x-request-id': request.requestId,
      'x-response-time': `${milliseconds.toFixed(2)}ms`,
    },
  });
}

function logFailure(log: Log, failure: Failure): void {
  if (failure.code === 'internal' || failure.code === 'misconfigured' || failure.code === 'constraint-violated')
    log.error({ err: failure }, 'a request ended with a bug');
  else if (failure.code === 'unavailable' || failure.code === 'timeout' || failure.code === 'outcome-unknown')
    log.warn({ code: failure.code, reason: failure.message }, 'a request could not be answered now');
}

async function routedRequest(
  context: Context<Bindings>,
  requestId: string,
  { proxies = { hops: 1 } }: Pick<AppOptions, 'proxies'>,
): Promise<RoutedRequest> {
  const incoming = context.env.incoming as HostRequest;
  const read = await bodyOf(incoming);
  const url = incoming.url ?? '/';
  const at = url.indexOf('?');
  const forwarded = incoming.headers['x-forwarded-for'];
  return {
    params: context.req.param() as Record<string, string>,
    search: at < 0 ? '' : url.slice(at),
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    ...read,
    requestId,
    isHead: incoming.method === 'HEAD',
    address: () =>
      callerAddress(
        { forwardedFor: forwarded === undefined ? undefined : String(forwarded), peer: incoming.socket.remoteAddress },
        proxies,
      ),
    signal: goneSignal(context.env.outgoing as ServerResponse),
  };
}

/** functions-framework leaves the body of a request without Content-Type unread. */
async function bodyOf(incoming: HostRequest): Promise<{ body: Buffer; isTooLarge: boolean }> {
  const { rawBody: body, bodyIsTooLarge } = incoming;
  if (body !== undefined) return { body, isTooLarge: bodyIsTooLarge === true };
  if (incoming.readableEnded) return { body: Buffer.alloc(0), isTooLarge: false };
  return await new Promise((onRead) => readBody(incoming, { limit: defaultBodyLimitBytes, onRead }));
}

function goneSignal(outgoing: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (outgoing.destroyed) gone.abort();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  return gone.signal;
}
