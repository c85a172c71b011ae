import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findDaemon, startDaemon, stopDaemon } from './daemons.ts';

let folder: string;
const daemon = { name: `test-${process.pid}`, command: '/bin/sleep', args: ['300'] };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daemons-'));
});
afterEach(async () => {
  await stopDaemon(daemon, { graceMs: 1000 });
  await rm(folder, { recursive: true });
});

const start = () => startDaemon(daemon, { logs: folder, cwd: folder });

it('starts a daemon once and finds it by its name and program', async () => {
  await start();
  const first = await findDaemon(daemon);
  await start();
  expect((await findDaemon(daemon))?.pid).toBe(first?.pid);
  expect(await findDaemon({ ...daemon, command: 'another' })).toBeUndefined();
});

it('gives it nothing of the environment of whoever starts it', async () => {
  process.env['FLEET_TEST_SECRET'] = 'x';
  await start();
  delete process.env['FLEET_TEST_SECRET'];
  const environment = await readFile(`/proc/${(await findDaemon(daemon))?.pid}/environ`, 'utf8');
  expect(environment).not.toContain('FLEET_TEST_SECRET');
});

it('ends one that ignores being asked', async () => {
  const stubborn = { name: daemon.name, command: '/bin/sh', args: ['-c', 'trap "" TERM; while :; do sleep 0.1; done'] };
  await startDaemon(stubborn, { logs: folder, cwd: folder });
  await stopDaemon(stubborn, { graceMs: 300 });
  expect(await findDaemon(stubborn)).toBeUndefined();
});
