import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a TCP server and breaks the connection where a test wants it broken. */
export type TcpProxy = {
  host: '127.0.0.1';
  port: number;
  /**
   * The next connection that sends `bytes` is cut: `before` they reach the server, or `after` the server has answered them,
   * without the answer reaching the client. Resolves when it was cut.
   */
  cutAt(bytes: string, options: { when: 'before' | 'after' }): Promise<void>;
  /** Later connections are closed at once, until `accept`. */
  refuse(): void;
  accept(): void;
  close(): Promise<void>;
};

type Cut = { bytes: Buffer; when: 'before' | 'after'; done(): void };

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let cut: Cut | undefined;
  let isRefusing = false;

  const server = createServer((client) => {
    if (isRefusing) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: target.host, port: target.port, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let isMute = false;
    client.on('data', (chunk) => {
      const wanted = cut?.bytes !== undefined && chunk.includes(cut.bytes) ? cut : undefined;
      if (wanted !== undefined) cut = undefined;
      if (wanted?.when === 'before') {
        client.destroy();
        wanted.done();
        return;
      }
      upstream.write(chunk);
      if (wanted === undefined) return;
      isMute = true;
      upstream.once('data', () => {
        client.destroy();
        wanted.done();
      });
    });
    upstream.on('data', (chunk) => {
      if (!isMute) client.write(chunk);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port');
  return {
    host: '127.0.0.1',
    port: address.port,
    cutAt: (bytes, { when }) =>
      new Promise((resolve) => {
        cut = { bytes: Buffer.from(bytes), when, done: resolve };
      }),
    refuse() {
      isRefusing = true;
    },
    accept() {
      isRefusing = false;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
