import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BrokerEvent, NotACloudEvent, readEvent } from './event.ts';

// RabbitMQ 4's default message size.
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/**
 * The broker's address for publishers: POST a CloudEvent to `path`. 202 when `accept` resolves, 400 for what is no
 * CloudEvent, 413 above 16 MiB, 404 for another path, 405 for another method, 500 when `accept` throws.
 * `publisherGone` is aborted when the publisher closes the connection before it has its answer.
 */
export async function listenForEvents(
  accept: (event: BrokerEvent, publisherGone: AbortSignal) => Promise<void>,
  options: { path: string; port: number; onRefused: (reason: string) => void; onError: (error: unknown) => void },
): Promise<Server> {
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    if (request.url !== options.path) return refuse(response, 404, `the broker's path is ${options.path}`);
    // the probe that Knative's ingress answers
    if (request.method === 'GET' && request.headers['user-agent']?.startsWith('kube-probe/')) {
      response.writeHead(200).end();
      return;
    }
    if (request.method !== 'POST') return refuse(response, 405, 'events are sent by POST');
    const body = await readBody(request);
    if (body === undefined) return refuse(response, 413, `an event may have ${MAX_BODY_BYTES} bytes`);
    await accept(readEvent(request.headers, body), gone.signal);
    response.writeHead(202).end();
  }

  function refuse(response: ServerResponse, status: number, reason: string): void {
    options.onRefused(reason);
    // a request whose body was not read leaves its connection unusable
    response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${reason}\n`);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (error instanceof NotACloudEvent) return refuse(response, 400, `not a CloudEvent: ${error.message}`);
      options.onError(error);
      if (!response.headersSent) response.writeHead(500).end();
    });
  });
  server.keepAliveTimeout = 95_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`the broker cannot listen on 127.0.0.1:${options.port}: ${cause.message}`, { cause })),
    );
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return server;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
