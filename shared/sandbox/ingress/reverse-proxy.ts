import type { ServerResponse } from 'node:http';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type Server,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';
import type { Destination, Refusal } from './cluster-view.ts';
import type { Endpoint } from './endpoints.ts';

export type Forwarding = {
  /** Says where a request goes. `host` is as the client wrote it, port included. */
  resolve(request: { host: string; path: string }): Destination;
  /** Leaves Host and X-Forwarded-* as the client sent them, as a connection straight to the pod would. */
  isTransparent?: boolean;
};

export type ReverseProxy = { port: number; stop(): Promise<void> };

const connectTimeoutMs = 5_000;
/** Odoo's own advice for a proxy in front of it: long reports and imports answer after minutes. */
const answerTimeoutMs = 720_000;
const retryAfterSeconds = 2;

/**
 * Passes requests on as they stream in, WebSockets and CONNECT included, from one port of the loopback addresses.
 * 503 with Retry-After where nothing is ready, 502 if the pod refuses the connection, 504 if it does not answer in time.
 */
export async function startReverseProxy(forwarding: Forwarding, { port = 0 } = {}): Promise<ReverseProxy> {
  const sockets = new Set<Duplex>();
  const open = async (host: string, wantedPort: number) => {
    const server = createServer((incoming, outgoing) => passOn(forwarding, incoming, outgoing));
    server.on('connection', (socket) => track(sockets, socket));
    server.on('upgrade', (incoming, socket, head: Buffer) => passUpgradeOn(forwarding, incoming, { socket, head }));
    server.on('connect', (incoming, socket, head: Buffer) => tunnel(forwarding, incoming, { socket, head }));
    server.requestTimeout = 0; // an upload may take as long as it likes
    server.keepAliveTimeout = 95_000; // none is closed while whoever asks again and again is asking
    await listen(server, host, wantedPort);
    return server;
  };
  const first = await open('127.0.0.1', port);
  const actualPort = (first.address() as AddressInfo).port;
  // Browsers may resolve *.localhost to ::1. A machine without IPv6, or with that port taken there, has only the first.
  const second = await open('::1', actualPort).catch(() => undefined);
  return {
    port: actualPort,
    async stop() {
      const servers = second === undefined ? [first] : [first, second];
      const closed = servers.map((server) => new Promise((done) => server.close(done)));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, ipv6Only: host === '::1' }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function track(sockets: Set<Duplex>, socket: Duplex): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
}

function passOn(forwarding: Forwarding, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { host, path } = target(incoming);
  const destination = forwarding.resolve({ host, path: path.split('?')[0] ?? '/' });
  if ('statusCode' in destination) return refuse(outgoing, destination);
  const upstream = openRequest(incoming, { destination, path, headers: outgoingHeaders(forwarding, incoming, host) });
  upstream.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.headers));
    // A broken answer breaks the client's connection too: it must not take half of it for the whole.
    pipeline(answer, outgoing, () => undefined);
  });
  upstream.on('error', (error) => {
    if (outgoing.headersSent) outgoing.destroy();
    else refuse(outgoing, failure(error, destination));
  });
  outgoing.on('close', () => upstream.destroy());
  incoming.pipe(upstream);
}

type Client = { socket: Duplex; head: Buffer };

function passUpgradeOn(forwarding: Forwarding, incoming: IncomingMessage, { socket, head }: Client): void {
  socket.on('error', () => socket.destroy());
  const { host, path } = target(incoming);
  const destination = forwarding.resolve({ host, path: path.split('?')[0] ?? '/' });
  if ('statusCode' in destination) return refuseSocket(socket, destination);
  const upstream = openRequest(incoming, { destination, path, headers: outgoingHeaders(forwarding, incoming, host) });
  upstream.on('upgrade', (answer, upstreamSocket: Duplex, upstreamHead: Buffer) => {
    socket.write(rawHead(answer));
    socket.write(upstreamHead);
    upstreamSocket.write(head);
    join(socket, upstreamSocket);
  });
  upstream.on('response', (answer) => {
    // Not switched: the answer is an ordinary one, and the connection ends with it.
    answer.headers = { ...endToEnd(answer.headers), connection: 'close' } as IncomingHttpHeaders;
    socket.write(rawHead(answer));
    pipeline(answer, socket, () => undefined);
  });
  upstream.on('error', (error) => refuseSocket(socket, failure(error, destination)));
  socket.on('close', () => upstream.destroy());
  upstream.end();
}

/** CONNECT, which HTTP clients send to a proxy that they were configured with. */
function tunnel(forwarding: Forwarding, incoming: IncomingMessage, { socket, head }: Client): void {
  socket.on('error', () => socket.destroy());
  const destination = forwarding.resolve({ host: incoming.url ?? '', path: '/' });
  if ('statusCode' in destination) return refuseSocket(socket, destination);
  const upstream = connect({ host: destination.address, port: destination.port });
  upstream.setTimeout(connectTimeoutMs, () => upstream.destroy(new Error('connect timeout')));
  upstream.once('connect', () => {
    upstream.setTimeout(0);
    upstream.off('error', refused);
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    upstream.write(head);
    join(socket, upstream);
  });
  const refused = (error: Error) => refuseSocket(socket, failure(error, destination));
  upstream.once('error', refused);
}

/** Host and path; also of the absolute form (`GET http://host/path`) that clients send to a proxy. */
function target(incoming: IncomingMessage): { host: string; path: string } {
  const url = incoming.url ?? '/';
  if (url.startsWith('/') || !URL.canParse(url)) return { host: incoming.headers.host ?? '', path: url };
  const { host, pathname, search } = new URL(url);
  return { host, path: pathname + search };
}

function openRequest(
  incoming: IncomingMessage,
  { destination, path, headers }: { destination: Endpoint; path: string; headers: OutgoingHttpHeaders },
) {
  const upstream = request({
    host: destination.address,
    port: destination.port,
    method: incoming.method,
    path,
    headers,
    agent: false, // a new connection costs 0.1 ms here; a kept one may be closed by the pod just as it is used
    setHost: false,
  });
  const connecting = setTimeout(() => upstream.destroy(timeoutError('connect')), connectTimeoutMs);
  upstream.on('socket', (socket) => socket.once('connect', () => clearTimeout(connecting)));
  upstream.on('close', () => clearTimeout(connecting));
  upstream.setTimeout(answerTimeoutMs, () => upstream.destroy(timeoutError('answer')));
  upstream.on('upgrade', (_answer, socket) => socket.setTimeout(0));
  return upstream;
}

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Headers without those of a single connection (RFC 9110 §7.6.1), the ones that `Connection` names included. */
function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set((headers.connection ?? '').toLowerCase().split(/\s*,\s*/));
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name) && !named.has(name)));
}

/** What a client claims about itself in X-Forwarded-* is replaced, as by ingress-nginx: nobody is trusted in front. */
function outgoingHeaders({ isTransparent }: Forwarding, incoming: IncomingMessage, host: string): OutgoingHttpHeaders {
  const { connection, upgrade, 'transfer-encoding': encoding } = incoming.headers;
  const address = incoming.socket.remoteAddress ?? '';
  const { forwarded, ...headers } = endToEnd(incoming.headers);
  const about = {
    host,
    'x-forwarded-host': host,
    'x-forwarded-for': address,
    'x-forwarded-proto': 'http',
    'x-real-ip': address,
  };
  return {
    ...headers,
    ...(isTransparent === true ? (forwarded === undefined ? {} : { forwarded }) : about),
    ...(encoding === undefined ? {} : { 'transfer-encoding': encoding }),
    ...(upgrade === undefined ? { connection: 'close' } : { connection: connection ?? 'upgrade', upgrade }),
  };
}

function timeoutError(what: 'connect' | 'answer'): Error {
  return Object.assign(new Error(`no ${what} in time`), { code: what === 'answer' ? 'ANSWER_TIMEOUT' : 'ETIMEDOUT' });
}

function failure(error: Error, { address, port }: Endpoint): Refusal {
  const isSlow = 'code' in error && error.code === 'ANSWER_TIMEOUT';
  const text = `The pod at ${address}:${port} ${isSlow ? 'did not answer in time' : 'could not be reached'}.`;
  return { statusCode: isSlow ? 504 : 502, text };
}

function refusalHeaders({ statusCode, text }: Refusal): Record<string, string> {
  return {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(text) + 1),
    ...(statusCode === 503 ? { 'retry-after': String(retryAfterSeconds) } : {}),
  };
}

function refuse(outgoing: ServerResponse, refusal: Refusal): void {
  outgoing.writeHead(refusal.statusCode, { ...refusalHeaders(refusal), connection: 'close' });
  outgoing.end(`${refusal.text}\n`);
}

function refuseSocket(socket: Duplex, refusal: Refusal): void {
  if (socket.destroyed) return;
  const headers = Object.entries({ ...refusalHeaders(refusal), connection: 'close' });
  const head = [`HTTP/1.1 ${refusal.statusCode} Refused`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join('\r\n')}\r\n\r\n${refusal.text}\n`);
}

function rawHead(answer: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const one of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${one}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** An end on one side ends the other; a break breaks it. */
function join(a: Duplex, b: Duplex): void {
  const settle = (error: Error | null | undefined) => {
    if (!error) return;
    a.destroy();
    b.destroy();
  };
  pipeline(a, b, settle);
  pipeline(b, a, settle);
}
