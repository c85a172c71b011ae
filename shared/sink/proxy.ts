import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Attempts, hostOf, instanceOf, userOf } from './attempts.ts';

const refusal = 'This is a staging copy: what it asks of the world is counted and goes nowhere.\n';

/** An HTTP proxy that passes nothing on: every request, and every tunnel for TLS, is an attempt and refused with 403. */
export function sinkProxy(attempts: Attempts): Server {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 30_000 }, (request, response) => {
    record(request, hostOfUrl(request.url));
    // A body that was announced is not read: the connection ends with the answer.
    response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' });
    response.end(refusal);
  });
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    record(request, request.url);
    socket.on('error', () => socket.destroy());
    socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n${refusal}`);
  });
  return server;

  function record({ headers }: IncomingMessage, host: string | undefined): void {
    const [scheme, credentials = ''] = headers['proxy-authorization']?.split(' ') ?? [];
    const user = scheme?.toLowerCase() === 'basic' ? userOf(credentials, ':') : undefined;
    attempts.record({ way: 'http', instance: instanceOf(user), to: hostOf(host) });
  }
}

/** A proxy is asked for whole addresses; the path may hold a secret and is not looked at. */
function hostOfUrl(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}
