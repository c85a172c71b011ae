import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export type Received = { headers: IncomingMessage['headers']; url: string; body: string };

/** What a customer would run: keeps what it received, and answers as told. */
export type Receiver = {
  port: number;
  received: Received[];
  /** Connections so far. */
  connections(): number;
  /** 204 unless told otherwise. */
  answer: (request: Received, response: ServerResponse) => void;
  close(): Promise<void>;
};

/** Opens one on loopback. */
export async function openReceiver(tls?: { key: string; cert: string }): Promise<Receiver> {
  let connections = 0;
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const one = { headers: request.headers, url: request.url ?? '', body };
    receiver.received.push(one);
    receiver.answer(one, response);
  };
  const listener: RequestListener = (request, response) => void take(request, response).catch(() => undefined);
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    port: (server.address() as AddressInfo).port,
    received: [],
    connections: () => connections,
    answer: (_request, response) => void response.writeHead(204).end(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}
