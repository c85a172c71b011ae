import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { type Attempt, type Attempts, countAttempts } from './attempts.ts';
import { sinkProxy } from './proxy.ts';
import { sinkMail } from './smtp.ts';

export type Sink = {
  attempts: Attempts;
  ports: { mail: number; proxy: number; health: number };
  stop(): Promise<void>;
};

/** Starts listening; port 0 takes a free one. */
export async function startSink(options: {
  address: string;
  ports: Sink['ports'];
  tell: (attempt: Attempt) => void;
}): Promise<Sink> {
  const attempts = countAttempts(options.tell);
  const servers = { mail: sinkMail(attempts), proxy: sinkProxy(attempts), health: health(attempts) };
  const port = async (name: keyof typeof servers) => await listen(servers[name], options.ports[name], options.address);
  return {
    attempts,
    ports: { mail: await port('mail'), proxy: await port('proxy'), health: await port('health') },
    async stop() {
      await Promise.all(Object.values(servers).map(close));
    },
  };
}

async function listen(server: NetServer, port: number, address: string): Promise<number> {
  server.listen(port, address);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function close(server: NetServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  if ('closeAllConnections' in server) (server as Server).closeAllConnections();
  await closed;
}

/** The kubelet's questions, the figure for Prometheus, and the latest attempts for whoever looks into one. */
function health(attempts: Attempts): Server {
  return createServer((request, response) => {
    const answer = (type: string, body: string) => response.writeHead(200, { 'content-type': type }).end(body);
    if (request.url === '/attempts') return void answer('application/json', JSON.stringify(attempts.latest()));
    if (request.url === '/metrics') return void answer('text/plain; version=0.0.4', figures(attempts));
    answer('text/plain', 'ok\n');
  });
}

function figures(attempts: Attempts): string {
  const lines = Object.entries(attempts.counts()).map(
    ([way, count]) => `fleet_outbound_attempts_total{way="${way}"} ${count}`,
  );
  const help = 'Times a staging copy tried to reach the world, all of which ended here.';
  return `# HELP fleet_outbound_attempts_total ${help}\n# TYPE fleet_outbound_attempts_total counter\n${lines.join('\n')}\n`;
}
