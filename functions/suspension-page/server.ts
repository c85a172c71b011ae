import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';
import { pageFor } from './page.ts';

/** A port per reason, and one for the kubelet's questions. */
export type Ports = Record<SuspensionReason | 'health', number>;

/** Ends once everything that was begun is answered. */
export type SuspensionPage = { ports: Ports; stop(): Promise<void> };

/** Starts listening; port 0 takes a free one. Which port was asked says why: nothing of the request but its language is read. */
export async function startSuspensionPage(options: { address: string; ports: Ports }): Promise<SuspensionPage> {
  const { address, ports } = options;
  const servers = {
    billing: makeServer(pageListener('billing')),
    abuse: makeServer(pageListener('abuse')),
    health: makeServer(healthListener),
  } satisfies Record<keyof Ports, Server>;
  const all = Object.values(servers);
  await Promise.all(
    Object.entries(servers).map(([name, server]) => listen(server, ports[name as keyof Ports], address)),
  );
  return {
    ports: { billing: portOf(servers.billing), abuse: portOf(servers.abuse), health: portOf(servers.health) },
    async stop() {
      const closed = all.map((server) => once(server, 'close'));
      for (const server of all) server.close();
      await Promise.all(closed);
    },
  };
}

async function listen(server: Server, port: number, address: string): Promise<void> {
  server.listen(port, address);
  await once(server, 'listening');
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

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
