import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endLeftovers } from './leftovers.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leftovers-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function sleeper(options: { cwd?: string; env?: Record<string, string> }): Promise<ChildProcess> {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore', ...options });
  await once(child, 'spawn');
  return child;
}

it('ends what works in the folder, by its working directory or its environment, and names it', async () => {
  const children = [await sleeper({ cwd: folder }), await sleeper({ env: { PATH: '/usr/bin:/bin', TMPDIR: folder } })];
  const ended = Promise.all(children.map((child) => once(child, 'exit')));
  const found = await endLeftovers(folder, { graceMs: 0 });
  expect(new Set(found.map(({ pid }) => pid))).toEqual(new Set(children.map(({ pid }) => pid)));
  expect(found.map(({ command }) => command)).toEqual(['sleep 60', 'sleep 60']);
  expect(await ended).toEqual([
    [null, 'SIGKILL'],
    [null, 'SIGKILL'],
  ]);
});

it('leaves everybody else alone', async () => {
  const other = await sleeper({ cwd: '/' });
  expect(await endLeftovers(folder, { graceMs: 0 })).toEqual([]);
  expect(other.exitCode ?? other.signalCode).toBeNull();
  other.kill('SIGKILL');
});

it('counts nothing that ends by itself in time', async () => {
  const child = await sleeper({ cwd: folder });
  setImmediate(() => child.kill());
  expect(await endLeftovers(folder, { graceMs: 5_000 })).toEqual([]);
});
