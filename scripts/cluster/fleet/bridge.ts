import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export type Bridge = { port: number; close(): Promise<void> };

/**
 * Makes a server of this machine's loopback reachable at `host`: a port there that leads to it. The servers themselves keep to
 * loopback, where nobody else finds them.
 */
export async function bridgeTo(target: { host: string; port: number }, options: { host: string }): Promise<Bridge> {
  const open = new Set<Socket>();
  const server = createServer((outer) => {
    const inner = connect(target);
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      open.add(one);
      // 'close' follows.
      one.on('error', () => undefined);
      one.once('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, options.host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`no port on ${options.host}`);
  return {
    port: address.port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
