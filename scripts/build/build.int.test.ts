import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { type BuiltFunction, buildFunctions } from './build.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));
let processes: ProcessGroup;
let folder: string;
let built: BuiltFunction[];

beforeAll(async () => {
  processes = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'fleet-build-'));
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'password'), 'not a secret');
  built = await buildFunctions(['billing', 'provision'], { outFolder: folder });
});
afterAll(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true });
});

const settings = () => ({
  PATH: '/usr/bin:/bin',
  PLATFORM_POSTGRES_HOST: '127.0.0.1',
  PLATFORM_POSTGRES_PASSWORD_FILE: join(folder, 'password'),
  ODOO_POSTGRES_PASSWORDS_DIR: folder,
  BROKER_URL: 'http://127.0.0.1:9/',
});

async function start(name: string, env: Record<string, string> = {}) {
  const port = await freePort();
  const logFile = join(folder, `${name}-${port}.log`);
  const args = [join(folder, name, 'main.js')];
  // a folder of its own: nothing is found by where it stands
  const spec = { name, command: process.execPath, args, cwd: '/', logFile };
  const running = await processes.start({ ...spec, env: { ...settings(), PORT: String(port), ...env } });
  return { running, url: `http://127.0.0.1:${port}`, log: () => readFile(logFile, 'utf8') };
}

async function answer(url: string): Promise<{ status: number; text: string }> {
  const { statusCode, body } = await request(url);
  return { status: statusCode, text: await body.text() };
}

it('makes bundles that are within their budgets', () => {
  expect(built.map(({ name, mistakes }) => ({ name, mistakes }))).toEqual([
    { name: 'billing', mistakes: [] },
    { name: 'provision', mistakes: [] },
  ]);
});

it('compiles the way of an event to the database, and to the broker where it writes another one', () => {
  const size = (wanted: string) => built.find(({ name }) => name === wanted)?.cacheBytes;
  // without the driver's part it is 700 kB
  expect(size('billing')).toBeGreaterThan(800_000);
  // without the publisher's part it is 955 kB
  expect(size('provision')).toBeGreaterThan(1_050_000);
});

it('makes a program that answers its probes, drains on SIGTERM and says nothing but its log', async () => {
  const { running, url, log } = await start('provision');
  await expect
    .poll(() => answer(`${url}/healthz`).catch(() => undefined), { timeout: 20_000 })
    .toEqual({ status: 200, text: '' });
  expect(await answer(`${url}/readyz`)).toEqual({ status: 200, text: '' });
  expect((await answer(`${url}/metrics`)).text).toMatch(/fleet_requests_in_flight\{function="provision"\} 0/);
  await running.stop({ graceMs: 30_000 });
  expect(await running.exited).toEqual({ code: 0, signal: null });
  const lines = (await log())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string });
  expect(lines.map(({ msg }) => msg)).toContain('listening');
});

it('answers 503 when the platform database is away, and its log names lines of the sources', async () => {
  const { url, log } = await start('billing', {
    PLATFORM_POSTGRES_PORT: '9',
    LOG_LEVEL: 'debug',
    SOURCES_POLICY: 'open',
  });
  await expect
    .poll(() => answer(`${url}/healthz`).catch(() => undefined), { timeout: 20_000 })
    .toMatchObject({ status: 200 });
  const headers = { 'ce-id': '1', 'ce-source': 'urn:test', 'ce-type': 'no.such', 'ce-specversion': '1.0' };
  const { statusCode, body } = await request(url, { method: 'POST', headers });
  expect({ statusCode, text: await body.text() }).toEqual({ statusCode: 503, text: '' });
  // a refused event that could not be kept is logged with its stack
  expect(await log()).toMatch(/at \S+ \(shared\/adapters\/postgres\/[a-z-]+\.ts:\d+:\d+\)/);
});

it('says at once which settings are missing, with lines of the sources', async () => {
  const { running, log } = await start('billing', { BROKER_URL: '' });
  expect((await running.exited).code).toBe(1);
  expect(await log()).toMatch(/BROKER_URL is not set/);
  expect(await log()).toMatch(/shared\/runtime\/config\.ts:\d+/);
});

it('starts from a folder that nobody may write to, and takes the compiled code from there', async () => {
  await chmod(join(folder, 'provision'), 0o555);
  const { url, log } = await start('provision', { NODE_OPTIONS: '--trace-warnings' });
  await expect
    .poll(() => answer(`${url}/readyz`).catch(() => undefined), { timeout: 20_000 })
    .toMatchObject({ status: 200 });
  // it would say that the compiled code was refused
  expect(await log()).not.toMatch(/function\.cache/);
});

it('starts without the parts of Node and of libraries that no start needs', async () => {
  const preload = join(folder, 'preload.cjs');
  await writeFile(preload, "process.on('exit', () => console.error(process.moduleLoadList.join('\\n')));");
  const { running, url, log } = await start('provision', { NODE_OPTIONS: `--require=${preload}` });
  await expect
    .poll(() => answer(`${url}/readyz`).catch(() => undefined), { timeout: 20_000 })
    .toMatchObject({ status: 200 });
  await running.stop({ graceMs: 30_000 });
  const loaded = (await log()).split('\n').map((line) => line.replace('NativeModule ', ''));
  expect(loaded).toContain('http');
  for (const name of ['http2', 'worker_threads', 'zlib', 'internal/deps/undici/undici']) {
    expect(loaded).not.toContain(name);
  }
});

it('says so and starts all the same when the compiled code is of no use', async () => {
  const cache = join(folder, 'billing', 'function.cache');
  const whole = await readFile(cache);
  await writeFile(cache, whole.subarray(0, 100));
  const { url, log } = await start('billing');
  await expect
    .poll(() => answer(`${url}/readyz`).catch(() => undefined), { timeout: 20_000 })
    .toMatchObject({ status: 200 });
  expect(await log()).toMatch(/function\.cache was made by another Node/);
  await writeFile(cache, whole);
});

it('has a command line: JSON on stdout, exit code 2 for what does not exist', async () => {
  const run = promisify(execFile);
  const args = [program, 'suspension-page', '--json', '--folder', join(folder, 'other')];
  const { stdout, stderr } = await run(process.execPath, args);
  expect(JSON.parse(stdout)).toMatchObject([{ name: 'suspension-page', mistakes: [], files: expect.any(Array) }]);
  expect(stderr).toMatch(/suspension-page .* function\.js \d+ kB/);
  const wrong = await run(process.execPath, [program, 'nothing']).catch((error: unknown) => error);
  expect(wrong).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/No function is called nothing; there are api, backup,/),
  });
});
