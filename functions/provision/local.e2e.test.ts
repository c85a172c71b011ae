import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { aliveOf, familyOf, leftRunning, reportOf, runLocalProgram } from '#shared/testing/local-program.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-local-'));
});
afterAll(() => removeTree(folder));

const run = (...args: string[]) => runLocalProgram(['--odoo', 'stand-in', '--folder', join(folder, 'data'), ...args]);

describe('npm run local -- --once', () => {
  it('provisions an instance, checks its login, prints one JSON document and leaves nothing running', async () => {
    const ended = await run('--once', '--json').ended;
    expect([ended.code, ended.signal]).toEqual([0, null]);
    const report = reportOf(ended.stdout);
    expect(report.url).toMatch(/^http:\/\/demo\.localhost:\d+$/);
    expect(report).toMatchObject({
      login: 'owner@demo.example',
      odoo: 'stand-in',
      checks: { rightPassword: true, defaultPassword: false },
    });
    expect(report.eventToLoginPageSeconds).toBeGreaterThan(0);
    expect(report.steps[0]?.step).toBe('place');
    expect(report.steps.at(-1)?.step).toBe('ready');
    expect(new Set(report.steps.map(({ outcome }) => outcome))).toEqual(new Set(['done']));
    expect(await leftRunning(folder)).toEqual([]);
  });

  it('finds the data of the first run again, with the same address and password, also after kill -9', async () => {
    const first = reportOf((await run('--once', '--json').ended).stdout);
    const staying = run('--json');
    const kept = await staying.reported;
    expect(kept).toMatchObject({ url: first.url, password: first.password, instance: first.instance });
    expect(kept.eventToLoginPageSeconds).toBeNull();
    const family = await familyOf(staying.pid);
    // two PostgreSQL servers with their processes, PgBouncer, Redis, functions, Odoo, the guard
    expect(family.length).toBeGreaterThan(15);
    staying.kill('SIGKILL');
    expect((await staying.ended).signal).toBe('SIGKILL');
    await expect.poll(() => aliveOf(family), { timeout: 15_000 }).toEqual([]);
    expect(await leftRunning(folder)).toEqual([]);
    const after = reportOf((await run('--once', '--json').ended).stdout);
    expect(after).toMatchObject({ url: first.url, password: first.password, checks: first.checks });
  });

  it('stays up without --once, refuses a second one on its folder, and ends by Ctrl-C with nothing left', async () => {
    const staying = run('--name', 'other', '--json');
    expect(await staying.reported).toMatchObject({ url: expect.stringContaining('//other.localhost:') });
    const second = await run('--once').ended;
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/A fleet runs on .* already \(process \d+\)/);
    const family = await familyOf(staying.pid);
    staying.kill('SIGINT');
    expect(await staying.ended).toMatchObject({ code: 130, signal: null });
    expect(await aliveOf(family)).toEqual([]);
    expect(await leftRunning(folder)).toEqual([]);
  });

  it('starts anew with --fresh', async () => {
    const before = reportOf((await run('--once', '--json').ended).stdout);
    const anew = reportOf((await run('--once', '--json', '--fresh').ended).stdout);
    expect(anew.password).not.toBe(before.password);
    expect(anew.eventToLoginPageSeconds).toBeGreaterThan(0);
    expect(await leftRunning(folder)).toEqual([]);
  });
});

describe('the command line', () => {
  it.each([
    [['--odoo', 'sixteen'], '--odoo takes real or stand-in'],
    [['--name', 'Not A Name'], '--name takes a-z'],
    [['--port', '0'], '--port takes a number'],
    [['--what'], "Unknown option '--what'"],
    [['something'], 'Unexpected argument'],
  ])('%j is refused with exit code 2 and a word about it', async (args, words) => {
    const { code, stderr, stdout } = await runLocalProgram(args).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr).toContain('--help');
    expect(stdout).toBe('');
  });

  it('--help tells the options and the exit codes', async () => {
    const { code, stdout } = await runLocalProgram(['--help']).ended;
    expect(code).toBe(0);
    for (const option of ['--once', '--odoo', '--name', '--port', '--fresh', '--warm', '--folder', '--json']) {
      expect(stdout).toContain(option);
    }
    expect(stdout).toContain('Exit codes');
  });
});
