import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openProcessGroup, type ProcessGroup } from '../processes.ts';
import { becomeReady, startInstance } from './instance.ts';

const program = {
  command: process.execPath,
  args: [new URL('function.fixture.ts', import.meta.url).pathname],
  env: {},
};
const dispatcher = new Agent();

let folder: string;
let processes: ProcessGroup;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'instance-'));
  processes = await openProcessGroup();
});
afterEach(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true, force: true });
});

test('a process is ready when it answers on its port', async () => {
  const instance = await startInstance('echo', program, { number: 1, folder, processes });
  await becomeReady(instance, { dispatcher, withinMs: 30_000 });
  expect(instance.isReady).toBe(true);
});

test('a process on whose port somebody else answers is not ready', async () => {
  const other = createServer((_request, response) => response.end());
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const { port } = other.address() as AddressInfo;
  const instance = await startInstance('echo', program, { number: 1, folder, processes });
  await expect(becomeReady({ ...instance, port }, { dispatcher, withinMs: 1_000 })).rejects.toThrow(
    'did not answer GET /readyz with 200 within 1000 ms',
  );
  other.close();
  other.closeAllConnections();
});
