import { connect } from 'node:net';
import { createWebSocketStream, WebSocketServer } from 'ws';

/** Passes the bytes of each WebSocket on to a TCP server: what Neon's driver needs to reach a PostgreSQL that is not Neon's. */
export type WebSocketRelay = {
  /** `ws://127.0.0.1:<port>/` */
  url: string;
  close(): Promise<void>;
};

/** Listens on a free port of 127.0.0.1. `?address=` of the client is ignored: everything goes to `target`. */
export async function startWebSocketRelay(target: { host: string; port: number }): Promise<WebSocketRelay> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    const client = createWebSocketStream(socket);
    const upstream = connect({ host: target.host, port: target.port, noDelay: true });
    client.pipe(upstream);
    upstream.pipe(client);
    // one side's end is the other side's end
    client.on('error', () => upstream.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('error', () => socket.terminate());
    upstream.on('close', () => socket.close());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the relay has no port');
  return {
    url: `ws://127.0.0.1:${address.port}/`,
    close() {
      for (const socket of server.clients) socket.terminate();
      return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
    },
  };
}
