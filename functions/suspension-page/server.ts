import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SuspensionReason, suspensionReasons } from '#shared/domain/instance/instance.ts';
import { pageFor } from './page.ts';

/** A port per reason, and one for the kubelet's questions. */
export type Ports = Record<SuspensionReason | 'health', number>;

/** Ends once everything that was begun is answered. */
export type SuspensionPage = { ports: Ports; stop(): Promise<void> };

/** Starts listening; port 0 takes a free one. Which port was asked says why: nothing of the request but its language is read. */
export async function startSuspensionPage(options: { address: string; ports: Ports }): Promise<SuspensionPage> {
  const { address, ports } = options;
  const servers = new Map<keyof Ports, Server>([['health', makeServer(healthListener)]]);
  for (const reason of suspensionReasons) servers.set(reason, makeServer(pageListener(reason)));
  for (const [name, server] of servers) {
    server.listen(ports[name], address);
    await once(server, 'listening');
  }
  const portOf = (name: keyof Ports) => (servers.get(name)?.address() as AddressInfo).port;
  return {
    ports: { billing: portOf('billing'), abuse: portOf('abuse'), health: portOf('health') },
    async stop() {
      const closed = [...servers.values()].map((server) => once(server, 'close'));
      for (const server of servers.values()) server.close();
      await Promise.all(closed);
    },
  };
}

/** Whoever is slow to ask is let go; there is nothing here worth waiting for. A websocket's upgrade is a request like others. */
function makeServer(listener: RequestListener): Server {
  return createServer({ headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 }, listener);
}

function pageListener(reason: SuspensionReason): RequestListener {
  return (request, response) => {
    const { status, headers, body } = pageFor(reason, request.headers);
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

const healthListener: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end('ok\n');
};
