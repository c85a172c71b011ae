import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Body, defaultBodyLimitBytes, readBody } from './body.ts';
import type { HostRequest, HttpHandler } from './http-function.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Shutdown } from './shutdown.ts';

export type ServeOptions = {
  /** 0 takes a free one. */
  port: number;
  /** Default: every address. */
  host?: string;
  log: Log;
  metrics?: Metrics;
  /** Draining is part of it when given; else call `drain`. */
  shutdown?: Shutdown;
  /** How long requests in flight may take once draining began. Default 110,000 ms: below `timeoutSeconds` 120. */
  drainTimeoutMs?: number;
  /**
   * How long a process that was told to end goes on taking requests while `/readyz` says 503. Default 0: Knative ends
   * a container only when nothing is sent to it any more. Plain Deployments need a few seconds.
   */
  lingerMs?: number;
  /** Largest body that is handed over whole. Default 1 MiB. */
  bodyLimitBytes?: number;
  /** How long the whole of a request may take to come; whoever sends more slowly is cut off. Default 60,000 ms. */
  requestTimeoutMs?: number;
};

export type Served = {
  port: number;
  readonly isDraining: boolean;
  /** Takes no more connections and waits for the requests in flight, up to the limit. */
  drain(): Promise<void>;
};

// Above the 90 s for which Knative's activator and queue-proxy keep idle connections: the side that reuses one must not
// be the second to close it.
const keepAliveTimeoutMs = 95_000;
// The whole request must have come by then; the longest handling may take 120 s after that.
const defaultRequestTimeoutMs = 60_000;
// how often Node looks for those that take longer
const checkEveryMs = 30_000;

/**
 * Hosts a function on node:http: reads the body up to a limit, answers probes and `/metrics` itself, keeps connections
 * for as long as Knative reuses them, and drains.
 */
export async function serve(handler: HttpHandler, options: ServeOptions): Promise<Served> {
  const inFlight = new Set<ServerResponse>();
  const limit = options.bodyLimitBytes ?? defaultBodyLimitBytes;
  let isDraining = false;
  let onIdle = () => {};

  const { requestTimeoutMs = defaultRequestTimeoutMs } = options;
  const connectionsCheckingInterval = Math.min(checkEveryMs, requestTimeoutMs);
  const server = createServer({ connectionsCheckingInterval }, (request: HostRequest, response) => {
    const metrics = isFromOutside(request) ? undefined : options.metrics;
    if (request.method === 'GET' && answerLocally(request.url, response, { isDraining, metrics })) {
      return;
    }
    const onRead = ({ body, isTooLarge }: Body) => {
      request.rawBody = body;
      request.bodyIsTooLarge = isTooLarge;
      void handle(request, response);
    };
    readBody(request, { limit, onRead });
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  // of the two limits Node takes the smaller one for the headers and the larger one for the whole
  server.headersTimeout = requestTimeoutMs;
  server.requestTimeout = requestTimeoutMs;
  options.metrics?.countInFlight(() => inFlight.size);
  await listen(server, options);

  async function handle(request: HostRequest, response: ServerResponse): Promise<void> {
    // counted until the handler is done, also when the sender went away: it still uses the pools
    inFlight.add(response);
    if (isDraining) response.shouldKeepAlive = false;
    try {
      await handler(request, response);
    } catch (error) {
      // handlers made by httpFunction answer everything themselves
      options.log.error({ err: error }, 'a handler threw');
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
    inFlight.delete(response);
    if (inFlight.size === 0) onIdle();
  }

  async function drain(): Promise<void> {
    isDraining = true;
    const isClosed = new Promise<void>((resolve) => server.close(() => resolve()));
    const isIdle = new Promise<void>((resolve) => {
      onIdle = resolve;
    });
    for (const response of inFlight) response.shouldKeepAlive = false;
    if (inFlight.size === 0) onIdle();
    const timer = setTimeout(() => {
      options.log.warn({ inFlight: inFlight.size }, 'requests were cut off: they did not end in time');
      server.closeAllConnections();
      onIdle();
    }, options.drainTimeoutMs ?? 110_000);
    await Promise.all([isClosed, isIdle]);
    clearTimeout(timer);
  }
  options.shutdown?.during('stop-accepting', 'http', async () => {
    isDraining = true;
    await sleep(options.lingerMs ?? 0);
  });
  options.shutdown?.during('finish-requests', 'http', drain);

  return {
    port: (server.address() as AddressInfo).port,
    get isDraining() {
      return isDraining;
    },
    drain,
  };
}

/**
 * Who collects numbers asks the pod itself, or has the API server of Kubernetes ask it, which names the path it was asked for.
 * What comes through a gateway says for whom, and queue-proxy writes that into `forwarded`: it gets none.
 */
function isFromOutside({ headers }: HostRequest): boolean {
  if (headers['forwarded'] !== undefined) return true;
  return headers['x-forwarded-for'] !== undefined && headers['x-forwarded-uri'] === undefined;
}

/** Probes and numbers. False when the path is none of them. */
function answerLocally(
  url: string | undefined,
  response: ServerResponse,
  state: { isDraining: boolean; metrics: Metrics | undefined },
): boolean {
  switch (url) {
    case '/healthz':
    case '/health/liveness':
      response.writeHead(200, { 'content-length': 0 }).end();
      return true;
    // Local facts only: a database that is down must not take all pods out of service, they answer 503 themselves.
    case '/readyz':
    case '/health/readiness':
      response.writeHead(state.isDraining ? 503 : 200, { 'content-length': 0 }).end();
      return true;
    case '/metrics':
      if (state.metrics === undefined) return false;
      void writeMetrics(state.metrics, response);
      return true;
    default:
      return false;
  }
}

async function writeMetrics(metrics: Metrics, response: ServerResponse): Promise<void> {
  try {
    const { contentType, text } = await metrics.render();
    response.writeHead(200, { 'content-type': contentType }).end(text);
  } catch {
    // a gauge that cannot be read is no reason to end the process
    response.writeHead(500, { 'content-length': 0 }).end();
  }
}

function listen(server: Server, options: { port: number; host?: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
