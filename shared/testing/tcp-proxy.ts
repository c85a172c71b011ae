import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a TCP server and breaks the connection where a test wants it broken. */
export type TcpProxy = {
  host: '127.0.0.1';
  port: number;
  /**
   * The next connection that sends `bytes` is cut: `before` they reach the server, `while` the server works on them, or
   * `after` it has answered them, without the answer reaching the client. Resolves when it was cut.
   */
  cutAt(bytes: string, options: { when: 'before' | 'while' | 'after' }): Promise<void>;
  /** Cuts every connection now. */
  cutAll(): void;
  /** Later connections are closed at once, until `accept`. */
  refuse(): void;
  accept(): void;
  /** As a server that was stopped by SIGSTOP: connections are accepted, nothing is answered, and what is sent waits. */
  hold(): void;
  /** What waited goes on, also what clients have gone away from. */
  goOn(): void;
  close(): Promise<void>;
};

type Cut = { bytes: Buffer; when: 'before' | 'while' | 'after'; done(): void };

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let cut: Cut | undefined;
  let isRefusing = false;
  let isHolding = false;

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
      const wanted = cut !== undefined && chunk.includes(cut.bytes) ? cut : undefined;
      if (wanted === undefined) {
        upstream.write(chunk);
        return;
      }
      cut = undefined;
      const cutNow = () => {
        client.destroy();
        wanted.done();
      };
      isMute = true;
      if (wanted.when === 'before') cutNow();
      else if (wanted.when === 'while') upstream.write(chunk, cutNow);
      else {
        upstream.once('data', cutNow);
        upstream.write(chunk);
      }
    });
    upstream.on('data', (chunk) => {
      if (!isMute) client.write(chunk);
    });
    if (isHolding) for (const socket of [client, upstream]) socket.pause();
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
    cutAll() {
      for (const socket of sockets) socket.destroy();
    },
    refuse() {
      isRefusing = true;
    },
    accept() {
      isRefusing = false;
    },
    hold() {
      isHolding = true;
      for (const socket of sockets) socket.pause();
    },
    goOn() {
      isHolding = false;
      for (const socket of sockets) socket.resume();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
