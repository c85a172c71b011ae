import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openGuard } from '#shared/sandbox/processes/guard.ts';
import { endLeftovers } from './leftovers.ts';
import { countReport, type TierResult, type VitestReport } from './report.ts';
import type { Tier } from './tiers.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export type RunOptions = {
  /** Where vitest's own progress goes: 1 or 2. */
  output: 1 | 2;
  /** Ends the run. */
  signal: AbortSignal;
};

/**
 * Runs the tests of one tier in a temporary folder of its own. Tests that hang are ended after the tier's limit, and
 * processes that outlive their tests are ended and counted as a failure.
 */
export async function runTier(tier: Tier, options: RunOptions): Promise<TierResult> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'fleet-run-'));
  // Servers that refuse to run as root run as another user, who makes files here, too.
  await chmod(folder, 0o1777);
  try {
    const reportFile = join(folder, 'report.json');
    const end = await runVitest(tier, { ...options, folder, reportFile });
    const leftovers = await endLeftovers(folder);
    const report = await readReport(reportFile);
    const result: TierResult = {
      tier: tier.name,
      ...(report === undefined ? { passed: 0, failed: 0, skipped: 0, failures: [] } : countReport(report, { root })),
      seconds: (performance.now() - started) / 1000,
      notes: [],
    };
    const fail = (note: string) => {
      result.notes.push(note);
      result.failed += 1;
    };
    if (end === 'late') fail(`did not end within ${tier.limitMinutes} minutes and was stopped`);
    for (const { pid, command } of leftovers) fail(`left process ${pid} running: ${command}`);
    if (options.signal.aborted) fail('interrupted');
    if (end !== 0 && result.failed === 0) fail('vitest reported an error outside the tests, see above');
    return result;
  } finally {
    await removeTree(folder);
  }
}

async function runVitest(
  tier: Tier,
  options: RunOptions & { folder: string; reportFile: string },
): Promise<number | 'late'> {
  const { folder, reportFile, output, signal } = options;
  const guard = await openGuard();
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      ...['run', '--project', tier.name, '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`],
    ],
    { cwd: root, env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', output, output], detached: true },
  );
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  const pid = child.pid;
  if (pid === undefined) return await ended;
  // Its group ends with this process, also when this one is killed.
  await guard.watch(pid, 'SIGTERM');
  const stop = () => void stopGroup(pid, ended);
  signal.addEventListener('abort', stop, { once: true });
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    stop();
  }, tier.limitMinutes * 60_000);
  try {
    const code = await ended;
    return isLate ? 'late' : code;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener('abort', stop);
    await guard.close();
  }
}

/** Asks first, so that tests tear down what they started; what still runs after ten seconds is killed. */
async function stopGroup(pid: number, ended: Promise<unknown>): Promise<void> {
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // the group has ended
    }
  };
  kill('SIGTERM');
  const timer = setTimeout(() => kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}

/** Undefined when vitest ended before it wrote its report. */
async function readReport(file: string): Promise<VitestReport | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}
