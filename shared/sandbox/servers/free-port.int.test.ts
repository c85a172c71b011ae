import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from './free-port.ts';

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
