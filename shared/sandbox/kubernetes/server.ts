import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../servers/free-port.ts';
import type { Identity } from './certificates.ts';
import { ensureIdentity } from './certificates.ts';
import { discover } from './discovery.ts';
import { startGarbageCollection } from './garbage-collection.ts';
import type { JsonObject } from './json.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ensureNamespaces } from './namespaces.ts';
import { targetOf } from './request-target.ts';
import { answer } from './routes.ts';
import { loadSchema } from './schema.ts';
import { StatusError, statusOf } from './status.ts';
import { openStore } from './store.ts';
import { startWatch } from './watch.ts';
import type { Api } from './writes.ts';

/** What a test does to one request. `dropAnswer` carries the request out and then breaks the connection. */
export type Fault = {
  delayMs?: number;
  /** The request waits for its end, however that ends. */
  until?: Promise<unknown>;
  status?: number;
  body?: unknown;
  retryAfterSeconds?: number;
  dropAnswer?: boolean;
};

export type KubernetesApiOptions = {
  /** Holds the state, the certificates and the token; a second start on it continues. One server at a time. */
  folder: string;
  port?: number;
  intercept?: (request: { method: string; path: string }) => undefined | Fault;
  /** How many writes are remembered for watches and pages before they get 410. */
  historyLength?: number;
};

export type KubernetesApi = { url: string; kubeconfigFile: string; stop(): Promise<void> };

/** The real server's limit for a request body. */
const bodyLimit = 3 * 1024 * 1024;

/**
 * A small Kubernetes API server on 127.0.0.1 over TLS: the kinds and verbs this product uses, 501 to the rest.
 * A write is on disk before it is answered.
 */
export async function startKubernetesApi(options: KubernetesApiOptions): Promise<KubernetesApi> {
  const store = await openStore(options.folder, { historyLength: options.historyLength });
  const [schema, identity] = await Promise.all([loadSchema(), ensureIdentity(options.folder)]);
  const api: Api = { store, schema };
  await ensureNamespaces(api);
  const stopCollecting = startGarbageCollection(store);
  const watches = new Set<() => void>();
  const handle = handler({ api, identity, watches, options });
  const server = createServer({ key: identity.key, cert: identity.certificate, keepAliveTimeout: 120_000 }, handle);
  const port = await listen(server, options);
  const url = `https://127.0.0.1:${port}`;
  const kubeconfigFile = join(options.folder, 'kubeconfig');
  await writeKubeconfig(kubeconfigFile, { url, caCertificate: identity.caCertificate, token: identity.token });
  return {
    url,
    kubeconfigFile,
    async stop() {
      stopCollecting();
      for (const end of watches) end();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      await store.close();
    },
  };
}

/** Takes the port asked for, or else the one of the last time when it is free, or else a free one. */
async function listen(server: Server, { folder, port }: KubernetesApiOptions): Promise<number> {
  const file = join(folder, 'port');
  const last = await readFile(file, 'utf8').catch(() => undefined);
  let actual = port ?? (last === undefined ? await freePort() : Number(last));
  try {
    await listenOn(server, actual);
  } catch (error) {
    if (port !== undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    actual = await freePort();
    await listenOn(server, actual);
  }
  await writeFile(file, String(actual));
  return actual;
}

async function listenOn(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

type Context = {
  api: Api;
  identity: Identity;
  watches: Set<() => void>;
  options: KubernetesApiOptions;
};

function handler(context: Context): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    serve(context, request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return response.destroy();
      const status = error instanceof StatusError ? error : internalError(error);
      send(response, status.code, statusOf(status));
    });
  };
}

function internalError(error: unknown): StatusError {
  const text = error instanceof Error ? error.message : String(error);
  return new StatusError(500, 'InternalError', `Internal error occurred: ${text}`);
}

async function serve(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { api, identity } = context;
  const { store } = api;
  const method = request.method ?? 'GET';
  const url = new URL(request.url ?? '/', 'https://127.0.0.1');
  if (!isAuthorized(request, identity.token)) throw new StatusError(401, 'Unauthorized', 'Unauthorized');
  const body = await readBody(request);
  const fault = context.options.intercept?.({ method, path: url.pathname + url.search });
  if (fault?.delayMs) await pause(fault.delayMs);
  await fault?.until?.catch(() => undefined);
  if (fault?.status !== undefined) return sendFault(response, fault);
  const known = discover(url.pathname);
  if (known !== undefined && method === 'GET') return send(response, 200, known);
  const target = targetOf(url.pathname);
  if (method === 'GET' && isTrue(url.searchParams.get('watch')) && target.name === '') {
    await store.durable();
    const end = startWatch(store, response, {
      resource: target.resource,
      namespace: target.namespace,
      query: url.searchParams,
    });
    context.watches.add(end);
    response.once('close', () => context.watches.delete(end));
    return;
  }
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  const userAgent = request.headers['user-agent'] ?? '';
  const result = answer(api, { method, target, query: url.searchParams, contentType, userAgent, body });
  // Also a read waits: what it shows must survive a crash.
  await store.durable();
  if (fault?.dropAnswer) return void request.socket.destroy();
  for (const warning of result.warnings ?? []) response.appendHeader('Warning', `299 - ${JSON.stringify(warning)}`);
  send(response, result.status, result.body);
}

function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

function isAuthorized(request: IncomingMessage, token: string): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > bodyLimit) {
      throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyLimit}`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendFault(response: ServerResponse, fault: Fault): void {
  const status = fault.status ?? 500;
  const body = fault.body ?? statusOf(new StatusError(status, 'InternalError', 'a fault that a test asked for'));
  if (fault.retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(fault.retryAfterSeconds));
  send(response, status, body as JsonObject | string);
}

function send(response: ServerResponse, status: number, body: JsonObject | string): void {
  const isText = typeof body === 'string';
  const bytes = Buffer.from(isText ? body : JSON.stringify(body));
  response.writeHead(status, {
    'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    'Content-Length': bytes.length,
  });
  response.end(bytes);
}
