import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { publicPort } from './public-port.ts';

let other: Server | undefined;
afterEach(() => other?.close());

async function takenPort(): Promise<number> {
  const port = await freePort();
  other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  return port;
}

it('is the one asked for, else the preferred one', async () => {
  const [asked, preferred] = [await freePort(), await freePort()];
  expect(await publicPort(asked, { preferred })).toBe(asked);
  expect(await publicPort(undefined, { preferred })).toBe(preferred);
});

it('is a free one when the preferred one is taken, and an error when the one asked for is', async () => {
  const taken = await takenPort();
  const port = await publicPort(undefined, { preferred: taken });
  expect(port).not.toBe(taken);
  expect(port).toBeGreaterThan(0);
  await expect(publicPort(taken)).rejects.toThrow(`Port ${taken} of this machine is taken: choose another --port.`);
});
