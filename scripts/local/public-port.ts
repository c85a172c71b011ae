import { once } from 'node:events';
import { createServer } from 'node:net';
import { freePort } from '#shared/sandbox/servers/free-port.ts';

/** Chosen when nobody asks for another. */
const defaultPort = 8080;

/**
 * The port of the instances' addresses: the one asked for, else the preferred one (8080), else a free one.
 * @throws Error when the one asked for is taken.
 */
export async function publicPort(
  asked: number | undefined,
  options: { preferred?: number | undefined } = {},
): Promise<number> {
  const wanted = asked ?? options.preferred ?? defaultPort;
  if (await isFree(wanted)) return wanted;
  if (asked !== undefined) throw new Error(`Port ${asked} of this machine is taken: choose another --port.`);
  return await freePort();
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  } finally {
    server.close();
  }
}
