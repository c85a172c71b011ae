import { createServer } from 'node:net';

/** Longer than a program takes to listen on a busy machine. */
const keptMs = 60_000;

/**
 * A TCP port of 127.0.0.1 that nobody listens on now, and that no caller of this function on the machine, in whatever
 * process, gets within a minute: programs start for seconds, and the system gives the same port twice every few
 * thousand times. Others may still take it before it is used: a caller that starts a server on it must notice that and
 * ask for another one.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await unusedPort();
    if (await keep(port)) return port;
  }
}

function unusedPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('the system gave no port'));
      });
    });
  });
}

/**
 * Keeps a port from other callers; false when another one has it. The mark is a socket in Linux's abstract namespace: a
 * name there has one owner on the machine, and is free again when that process ends.
 */
function keep(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const mark = createServer();
    mark.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    mark.listen(`\0odoo-fleet-port-${port}`, () => {
      mark.unref();
      setTimeout(() => mark.close(), keptMs).unref();
      resolve(true);
    });
  });
}
