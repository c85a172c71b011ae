import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openProcessGroup, type ProcessGroup } from '../processes.ts';
import { type FunctionHosts, type FunctionHostsOptions, startFunctionHosts } from './hosts.ts';
import type { HostEvent } from './instance.ts';

type Shown = {
  pid: number;
  path: string;
  method: string;
  headers: Record<string, string>;
  body: string;
  env: Record<string, string>;
};

let folder: string;
let processes: ProcessGroup;
let events: HostEvent[];
const open: FunctionHosts[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'functions-'));
  processes = await openProcessGroup();
  events = [];
});
afterEach(async () => {
  for (const hosts of open.splice(0)) await hosts.stopAll({ graceMs: 100 });
  await processes.stopAll();
  await rm(folder, { recursive: true, force: true });
});

const program = (env: Record<string, string> = {}) => ({
  command: process.execPath,
  args: [new URL('function.fixture.ts', import.meta.url).pathname],
  env,
});

async function start(options: Partial<FunctionHostsOptions> = {}): Promise<FunctionHosts> {
  const hosts = await startFunctionHosts({
    functions: { echo: program() },
    folder,
    processes,
    idleMs: 60_000,
    warm: false,
    log: (event) => events.push(event),
    ...options,
  });
  open.push(hosts);
  return hosts;
}

async function call(
  url: string,
  options: Parameters<typeof request>[1] = {},
): Promise<{ status: number; text: string; shown: Shown }> {
  const response = await request(url, { method: 'POST', body: '{}', ...options });
  const text = await response.body.text();
  return { status: response.statusCode, text, shown: (text.startsWith('{') ? JSON.parse(text) : {}) as Shown };
}

const kinds = (): string[] => events.map(({ kind }) => kind);
/** Requests that are held until `goOn`. */
function held(url: string) {
  const file = join(folder, 'go-on');
  return { url: `${url}/?until=${file}`, goOn: () => writeFile(file, '') };
}
const calls = (count: number, url: string) => Promise.all(Array.from({ length: count }, () => call(url)));

test('the first request starts the process, the next ones find it', async () => {
  const hosts = await start();
  expect(hosts.running()).toEqual([]);
  const first = await call(hosts.url('echo'));
  const second = await call(hosts.url('echo'));
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(second.shown.pid).toBe(first.shown.pid);
  expect(hosts.running()).toMatchObject([{ name: 'echo', pid: first.shown.pid, inFlight: 0, isReady: true }]);
  expect(events).toEqual([{ kind: 'started', function: 'echo', pid: first.shown.pid, startMs: expect.any(Number) }]);
});

test('method, path, headers, body and status pass through, and the process has Knative’s variables', async () => {
  const hosts = await start({ functions: { echo: program({ OWN: 'x' }) } });
  const headers = { 'ce-id': '1', 'content-type': 'application/json' };
  const { status, shown } = await call(`${hosts.url('echo')}/refuse?a=1`, { method: 'PUT', headers, body: '{"a":1}' });
  expect(status).toBe(422);
  expect(shown).toMatchObject({ path: '/refuse?a=1', method: 'PUT', headers, body: '{"a":1}' });
  expect(shown.env).toMatchObject({ OWN: 'x', K_SERVICE: 'echo', K_REVISION: 'echo-00001' });
  expect(shown.env['HOME']).toBeUndefined();
  const get = await call(hosts.url('echo'), { method: 'GET', body: null });
  expect(get.shown).toMatchObject({ path: '/', method: 'GET', body: '' });
});

test('requests that arrive while the process starts wait for one process', async () => {
  const hosts = await start();
  const answers = await calls(25, `${hosts.url('echo')}/?ms=5`);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ shown }) => shown.pid)).size).toBe(1);
});

test('an idle process is stopped, and the next request starts another', async () => {
  const hosts = await start({ idleMs: 100 });
  const first = await call(hosts.url('echo'));
  const stopped = { kind: 'stopped', function: 'echo', pid: first.shown.pid, reason: 'idle' };
  await vi.waitFor(() => expect(events.at(-1)).toEqual(stopped), 15_000);
  expect(hosts.running()).toEqual([]);
  const second = await call(hosts.url('echo'));
  expect(second.shown.pid).not.toBe(first.shown.pid);
});

test('a process with a request in flight is not idle', async () => {
  const hosts = await start({ idleMs: 50 });
  const { status } = await call(`${hosts.url('echo')}/?ms=400`);
  expect(status).toBe(200);
  expect(kinds()).not.toContain('exited');
});

test('a process that dies in the middle of a request gives 502, and the next request starts another', async () => {
  const hosts = await start();
  const crashed = await call(`${hosts.url('echo')}/crash`);
  expect(crashed.status).toBe(502);
  expect((await call(hosts.url('echo'))).status).toBe(200);
  await vi.waitFor(() => expect(kinds()).toEqual(['started', 'exited', 'started']), 15_000);
});

test('kill reaches the process, and what was in flight gets 502', async () => {
  const hosts = await start();
  const { shown } = await call(hosts.url('echo'));
  const inFlight = call(`${hosts.url('echo')}/?ms=30000`);
  await vi.waitFor(() => expect(hosts.running()[0]?.inFlight).toBe(1), 15_000);
  expect(hosts.kill('echo', 'SIGKILL')).toEqual([shown.pid]);
  expect((await inFlight).status).toBe(502);
  await vi.waitFor(() => expect(events.at(-1)).toMatchObject({ kind: 'exited', signal: 'SIGKILL' }), 15_000);
});

test('stop lets the request in flight finish while a new one starts another process', async () => {
  const hosts = await start();
  const { shown } = await call(hosts.url('echo'));
  const { url, goOn } = held(hosts.url('echo'));
  const inFlight = call(url);
  await vi.waitFor(() => expect(hosts.running()[0]?.inFlight).toBe(1), 15_000);
  const stopped = hosts.stop('echo');
  const next = await call(hosts.url('echo'));
  expect(next.shown.pid).not.toBe(shown.pid);
  await goOn();
  expect(await inFlight).toMatchObject({ status: 200, shown: { pid: shown.pid } });
  await stopped;
  expect(hosts.running().map(({ pid }) => pid)).toEqual([next.shown.pid]);
});

test('requests that wait for a place when their process is stopped get one in its successor', async () => {
  const hosts = await start({ functions: { echo: { ...program(), containerConcurrency: 1 } } });
  const { shown } = await call(hosts.url('echo'));
  const { url, goOn } = held(hosts.url('echo'));
  const inFlight = call(url);
  await vi.waitFor(() => expect(hosts.running()[0]?.inFlight).toBe(1), 15_000);
  const waiting = call(hosts.url('echo'));
  // an answer from the listener: the request before it on this machine has arrived too
  await call(hosts.url('echo').replace('/echo', '/none'));
  const stopped = hosts.stop('echo');
  expect((await waiting).shown.pid).not.toBe(shown.pid);
  await goOn();
  expect((await inFlight).status).toBe(200);
  await stopped;
});

test('one process gets no more requests at a time than its concurrency; the others wait', async () => {
  const hosts = await start({ functions: { echo: { ...program(), containerConcurrency: 2 } } });
  await call(hosts.url('echo'));
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, hosts.running()[0]?.inFlight ?? 0);
  }, 2);
  const answers = await calls(6, `${hosts.url('echo')}/?ms=40`);
  clearInterval(watch);
  expect(most).toBe(2);
  expect(answers.every(({ status }) => status === 200)).toBe(true);
});

test('more requests than one process takes start others, up to the scale', async () => {
  const hosts = await start({ functions: { echo: { ...program(), containerConcurrency: 2, maxScale: 3 } } });
  const { url, goOn } = held(hosts.url('echo'));
  const asked = calls(12, url);
  await vi.waitFor(() => expect(hosts.running().map(({ inFlight }) => inFlight)).toEqual([2, 2, 2]), 30_000);
  await goOn();
  const answers = await asked;
  expect(new Set(answers.map(({ shown }) => shown.pid)).size).toBe(3);
});

test('warm functions are all there at once, share the requests evenly and stay', async () => {
  const hosts = await start({ warm: true, idleMs: 1, functions: { echo: { ...program(), maxScale: 3 } } });
  expect(hosts.running().filter(({ isReady }) => isReady)).toHaveLength(3);
  const answers = await calls(9, `${hosts.url('echo')}/?ms=200`);
  const perProcess = new Map<number, number>();
  for (const { shown } of answers) perProcess.set(shown.pid, (perProcess.get(shown.pid) ?? 0) + 1);
  expect([...perProcess.values()]).toEqual([3, 3, 3]);
  const oneByOne = new Set<number>();
  for (let n = 0; n < 3; n++) oneByOne.add((await call(hosts.url('echo'))).shown.pid);
  expect(oneByOne.size).toBe(3);
  process.kill([...oneByOne][0] ?? 0, 'SIGKILL');
  await vi.waitFor(() => expect(kinds().filter((kind) => kind === 'started')).toHaveLength(4), 15_000);
  expect(hosts.running().filter(({ isReady }) => isReady)).toHaveLength(3);
});

test('a process that never becomes ready gives 503 in time', async () => {
  const hosts = await start({ functions: { echo: program({ NEVER_READY: '1' }) }, waitMs: 400 });
  const { status } = await call(hosts.url('echo'));
  expect(status).toBe(503);
  await vi.waitFor(() => expect(kinds()).toEqual(['start-failed']), 15_000);
});

test('a program that ends at once gives 503 at once, which says its last words; its output is kept', async () => {
  const hosts = await start({ functions: { echo: program({ EXIT_AT_ONCE: '1' }) } });
  const { status, text } = await call(hosts.url('echo'));
  expect(status).toBe(503);
  expect(text).toMatch(/function echo ended with code 3 before it was ready; its log says:\ntold to end at once$/m);
  expect(await readdir(folder)).toContain('echo-1.log');
});

test('warm functions that cannot start are an error', async () => {
  await expect(start({ warm: true, functions: { echo: program({ EXIT_AT_ONCE: '1' }) } })).rejects.toThrow(
    /function echo ended with code 3/,
  );
});

test('a request that takes too long gives 504', async () => {
  const hosts = await start({ functions: { echo: { ...program(), timeoutMs: 1_500 } } });
  await call(hosts.url('echo'));
  expect((await call(`${hosts.url('echo')}/?ms=30000`)).status).toBe(504);
});

test('a caller that gives up frees its place', async () => {
  const hosts = await start({ functions: { echo: { ...program(), containerConcurrency: 1 } } });
  await call(hosts.url('echo'));
  await expect(call(`${hosts.url('echo')}/?ms=30000`, { signal: AbortSignal.timeout(100) })).rejects.toThrow();
  expect((await call(hosts.url('echo'))).status).toBe(200);
});

test('an unknown function is 404, and its address an error that names the known ones', async () => {
  const hosts = await start();
  expect((await call(hosts.url('echo').replace('/echo', '/ecco'))).status).toBe(404);
  expect(() => hosts.url('ecco')).toThrow('No function is called ecco; there are echo');
});

test('stopAll leaves no process', async () => {
  const hosts = await start();
  const { shown } = await call(hosts.url('echo'));
  const url = hosts.url('echo');
  await hosts.stopAll();
  open.splice(0);
  expect(() => process.kill(shown.pid, 0)).toThrow(/ESRCH/);
  await expect(call(url)).rejects.toThrow();
});
