import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { freePort, portsBelow } from './free-port.ts';

/** So many that some would be the same if it were left to the system. */
const count = 400;

async function takeMany(): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

/** In a process of its own, which lives to the test's end: what it has taken is free again when it is gone. */
async function takeManyElsewhere(): Promise<number[]> {
  const program = `const { freePort } = await import('${new URL('free-port.ts', import.meta.url).href}');
    for (let taken = 0; taken < ${count}; taken += 1) console.log(await freePort());
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill());
  const ports: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    ports.push(Number(line));
    if (ports.length === count) break;
  }
  return ports;
}

test('a port is given to one caller only, whichever process asks', async () => {
  const ports = (await Promise.all([takeMany(), takeManyElsewhere()])).flat();
  expect(new Set(ports).size).toBe(2 * count);
});

test('no port is one that the system gives to clients, or to servers that take any', async () => {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const { to } = portsBelow(Number.parseInt(range, 10));
  expect(Math.max(...(await takeMany()))).toBeLessThan(to);
});

test.each([
  [32_768, { from: 10_000, to: 30_000 }],
  [20_000, { from: 10_000, to: 20_000 }],
  [1_024, { from: 10_000, to: 30_000 }],
])('where the ports of the system begin at %i, ours are of %o', (firstOfSystem, expected) => {
  expect(portsBelow(firstOfSystem)).toEqual(expected);
});

test.each(['127.0.0.1', '0.0.0.0', '::1'])('a port that somebody listens on at %s is not given', async (address) => {
  const other = createServer().listen(0, address);
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(freePort({ from: port, to: port + 1 })).rejects.toThrow(`ports from ${port} to ${port} is free`);
});
