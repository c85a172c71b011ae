import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promtool } from './promtool.ts';

// promtool is Prometheus' own: what it accepts, a server loads.

const folder = fileURLToPath(new URL('../../knative/observability/', import.meta.url));
const run = promisify(execFile);
let tool: string | undefined;
let own: string;

beforeAll(async () => {
  own = await mkdtemp(join(tmpdir(), 'fleet-rules-'));
  tool = await promtool().catch((error: Error) => {
    if (process.env['CI'] === 'true') throw error;
    console.log(`alert rules are not tested: ${error.message}`);
    return undefined;
  });
});
afterAll(() => rm(own, { recursive: true, force: true }));

/** What promtool says; its exit code as an error. */
async function tell(...args: string[]): Promise<string> {
  if (tool === undefined) throw new Error('there is no promtool');
  const { stdout, stderr } = await run(tool, args, { cwd: folder });
  return `${stdout}${stderr}`;
}

test('Prometheus takes the alert rules', async ({ skip }) => {
  if (tool === undefined) return skip('there is no promtool');
  expect(await tell('check', 'rules', '--lint-fatal', 'alerts.yaml')).toMatch(/SUCCESS: \d\d rules found/);
});

// promtool goes through days by the minute: 17 s alone, and more than a minute on a busy machine
test('every alert fires when it should, and none in a fleet that is well', { timeout: 240_000 }, async ({ skip }) => {
  if (tool === undefined) return skip('there is no promtool');
  for (const file of ['alerts.test.yaml', 'alerts-of-days.test.yaml']) {
    expect(await tell('test', 'rules', file)).toContain('SUCCESS');
  }
});

test('a rule that would not fire any more is found', async ({ skip }) => {
  if (tool === undefined) return skip('there is no promtool');
  const rules = await readFile(join(folder, 'alerts.yaml'), 'utf8');
  const broken = rules.replace('age_seconds) > 60', 'age_seconds) > 6000');
  expect(broken).not.toBe(rules);
  await writeFile(join(own, 'alerts.yaml'), broken);
  await writeFile(join(own, 'alerts.test.yaml'), await readFile(join(folder, 'alerts.test.yaml')));
  await expect(tell('test', 'rules', join(own, 'alerts.test.yaml'))).rejects.toThrow(/FAILED/);
});

test('Prometheus takes the relabelling of the scrape configuration', async ({ skip }) => {
  if (tool === undefined) return skip('there is no promtool');
  const scrape = await readFile(join(folder, 'prometheus.yaml'), 'utf8');
  // Debian's build knows no Kubernetes, so where the pods are found is not read here.
  const elsewhere = scrape.replace(
    /kubernetes_sd_configs:\n(\s+- role: pod\n)\s+namespaces:\n\s+names: .*\n/,
    'static_configs: []\n',
  );
  expect(elsewhere).not.toContain('kubernetes_sd_configs');
  await writeFile(join(own, 'prometheus.yaml'), elsewhere);
  expect(await tell('check', 'config', '--syntax-only', join(own, 'prometheus.yaml'))).toContain('SUCCESS');
});
