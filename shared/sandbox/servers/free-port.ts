import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';

// Above what well-known servers listen on; Kubernetes' NodePorts begin at 30000.
const firstPort = 10_000;
const endPort = 30_000;
/** Fewer would be taken too often. */
const fewestPorts = 1_000;
const mostTries = 1_000;

/** The ports to choose from; `to` is not one of them. */
type Ports = { from: number; to: number };

/**
 * A TCP port that nobody listens on now, on whatever address, and that no caller of this function on the machine, in
 * whatever process, gets before this process ends: programs start for seconds, and servers go and come back on their port.
 * It is none that the system chooses by itself
 * (Linux's `ip_local_port_range`): a server that takes any port, or a client's connection, could have it before the
 * program listens. One that is told to use this very port may still take it.
 * @throws Error when none is found in 1,000 tries.
 */
export async function freePort(ports?: Ports): Promise<number> {
  const { from, to } = ports ?? portsBelow(await firstPortOfSystem());
  for (let tries = 0; tries < mostTries; tries += 1) {
    const port = randomInt(from, to);
    if ((await keepPort(port)) && (await isUnused(port))) return port;
  }
  throw new Error(`none of ${mostTries} ports from ${from} to ${to - 1} is free`);
}

/** Those that the system leaves alone, or all of the usual ones where it leaves too few. */
export function portsBelow(firstOfSystem: number): Ports {
  const to = Math.min(endPort, firstOfSystem);
  return to - firstPort < fewestPorts ? { from: firstPort, to: endPort } : { from: firstPort, to };
}

let read: Promise<number> | undefined;

function firstPortOfSystem(): Promise<number> {
  read ??= readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').then(
    (text) => Number.parseInt(text, 10),
    // not Linux: the range that IANA names for this, RFC 6335 §6
    () => 49_152,
  );
  return read;
}

async function isUnused(port: number): Promise<boolean> {
  const server = await listenAt(port);
  if (server === undefined) return false;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return true;
}

/**
 * Keeps a port from callers of `freePort` until this process ends; false when it is kept already. The mark is a socket in
 * Linux's abstract namespace: a name there has one owner on the machine, and is free again when that process ends.
 */
export async function keepPort(port: number): Promise<boolean> {
  const mark = await listenAt(`\0odoo-fleet-port-${port}`);
  mark?.unref();
  return mark !== undefined;
}

/** A server at a port of all addresses or at a socket's name; undefined when it is taken. */
function listenAt(where: number | string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(where, () => resolve(server));
  });
}
