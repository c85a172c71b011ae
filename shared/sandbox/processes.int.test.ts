import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openProcessGroup, type ProcessGroup } from './processes.ts';

let folder: string;
let group: ProcessGroup;
const env = { PATH: '/usr/bin:/bin' };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'processes-'));
  group = await openProcessGroup();
});
afterEach(async () => {
  await group.stopAll();
  await rm(folder, { recursive: true, force: true });
});

const shell = (script: string, name = 'program') => ({
  name,
  command: 'sh',
  args: ['-c', script],
  env,
  logFile: join(folder, 'logs', `${name}.log`),
});
const log = (name = 'program') => readFile(join(folder, 'logs', `${name}.log`), 'utf8');

async function isRunning(pid: number): Promise<boolean> {
  try {
    // a process nobody has waited for yet is over all the same
    return !/^\d+ \(.*\) [ZX]/s.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('a program gets exactly the environment it is given, and its output goes to its log file', async () => {
  const started = await group.start({
    ...shell(''),
    command: '/usr/bin/env',
    args: [],
    env: { ONLY: 'this' },
  });
  expect(await started.exited).toEqual({ code: 0, signal: null });
  expect(await log()).toBe('ONLY=this\n');
});

test('arguments reach the program untouched', async () => {
  const args = ['a b', '$HOME', '"\'', '--', ''];
  const started = await group.start({ ...shell(''), command: '/usr/bin/printf', args: ['[%s]', ...args] });
  await started.exited;
  expect(await log()).toBe(args.map((arg) => `[${arg}]`).join(''));
});

test('a command that does not exist ends with 127 and a reason in the log', async () => {
  const started = await group.start({ ...shell(''), command: 'no-such-command' });
  expect((await started.exited).code).toBe(127);
  expect(await log()).toContain('no-such-command');
});

test('stop reaches the children of the program', async () => {
  const started = await group.start(shell('sleep 600 & echo $!; wait'));
  const child = await vi.waitFor(async () => Number(/^\d+\n/.exec(await log())?.[0] ?? expect.fail()), 15_000);
  await started.stop({ graceMs: 30_000 });
  expect(await started.exited).toEqual({ code: null, signal: 'SIGTERM' });
  await vi.waitFor(async () => expect(await isRunning(child)).toBe(false), 15_000);
});

test('a program that does not listen is killed when its time is up', async () => {
  const started = await group.start(shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done"));
  await vi.waitFor(async () => expect(await log()).toBe('deaf\n'), 15_000);
  await started.stop({ graceMs: 50 });
  expect((await started.exited).signal).toBe('SIGKILL');
  await started.stop();
});

test('a program is asked to end by the signal it names', async () => {
  const started = await group.start({
    ...shell("trap 'exit 7' INT; echo up; while :; do sleep 0.05; done"),
    stopSignal: 'SIGINT',
  });
  await vi.waitFor(async () => expect(await log()).toBe('up\n'), 15_000);
  await started.stop();
  expect(await started.exited).toEqual({ code: 7, signal: null });
});

test('what a program leaves behind ends with it', async () => {
  const started = await group.start(shell('sleep 600 & echo $!'));
  await started.exited;
  const child = Number(await log());
  await vi.waitFor(async () => expect(await isRunning(child)).toBe(false), 15_000);
});

test('stopAll ends everything, last started first, and nothing starts afterwards', async () => {
  const order: string[] = [];
  for (const name of ['first', 'second', 'third']) {
    const started = await group.start(shell('exec sleep 600', name));
    void started.exited.then(() => order.push(name));
  }
  await group.stopAll();
  expect(order).toEqual(['third', 'second', 'first']);
  await expect(group.start(shell('true'))).rejects.toThrow('closed');
});

test.runIf(process.getuid?.() === 0)('a program runs as the user it names', async () => {
  const started = await group.start({
    ...shell('id -u; id -g; id -G'),
    user: { uid: 65534, gid: 65534 },
  });
  await started.exited;
  expect(await log()).toBe('65534\n65534\n65534\n');
});

test.each(['SIGKILL', 'SIGTERM'] as const)('everything ends with the opener when it dies of %s', async (signal) => {
  const logFile = join(folder, 'sleepers.log');
  const parent = spawn(process.execPath, [join(import.meta.dirname, 'processes/parent.fixture.ts'), logFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: parent.stdout });
  const pids: number[] = await new Promise((resolve) => lines.once('line', (line) => resolve(JSON.parse(line))));
  const grandchild = await vi.waitFor(
    async () =>
      Number(/grandchild (\d+)/.exec(await readFile(logFile, 'utf8'))?.[1] ?? expect.fail('no grandchild yet')),
    15_000,
  );
  const all = [...pids, grandchild];
  expect(await Promise.all(all.map(isRunning))).toEqual(all.map(() => true));
  parent.kill(signal);
  await vi.waitFor(async () => expect((await Promise.all(all.map(isRunning))).includes(true)).toBe(false), {
    timeout: 15_000,
  });
});
