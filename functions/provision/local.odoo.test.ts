import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { aliveOf, familyOf, leftRunning, reportOf, runLocalProgram } from '#shared/testing/local-program.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-odoo-'));
});
afterAll(() => removeTree(folder));

const run = (...args: string[]) => runLocalProgram(['--folder', join(folder, 'data'), ...args]);

describe('npm run local with the real Odoo 19', () => {
  it('provisions one whose login works and whose admin/admin does not, and leaves nothing running', async () => {
    const { code, stdout, stderr } = await run('--once', '--json').ended;
    expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
    const report = reportOf(stdout);
    expect(report).toMatchObject({
      odoo: 'real',
      login: 'owner@demo.example',
      checks: { rightPassword: true, defaultPassword: false },
    });
    expect(report.url).toMatch(/^http:\/\/demo\.localhost:\d+$/);
    expect(report.steps.at(-1)).toMatchObject({ step: 'ready', outcome: 'done' });
    expect(await leftRunning(folder)).toEqual([]);
  });

  it('is found again by the next run, and nothing of that runs on when it is killed with -9', async () => {
    const staying = run('--json');
    const report = await staying.reported;
    expect(report).toMatchObject({ eventToLoginPageSeconds: null, checks: { rightPassword: true } });
    // so that the empty list below means something
    expect((await leftRunning(folder)).filter((line) => /\/odoo .*--config/.test(line))).not.toEqual([]);
    const family = await familyOf(staying.pid);
    staying.kill('SIGKILL');
    expect(await staying.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    await expect.poll(() => aliveOf(family), { timeout: 15_000 }).toEqual([]);
    expect(await leftRunning(folder)).toEqual([]);
  });
});
