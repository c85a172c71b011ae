import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A check: a program that ends with 0 when all is well and says what is not otherwise. */
type Check = { name: string; command: string; args: string[]; showsOutput?: true };

const node = process.execPath;
const checks: readonly Check[] = [
  { name: 'types', command: 'tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'lint and boundaries', command: 'oxlint', args: ['--type-aware', '--quiet'] },
  { name: 'format', command: 'biome', args: ['ci', '--colors=off', '--reporter=summary', '.'] },
  { name: 'unused code', command: 'knip', args: ['--no-progress'] },
  { name: 'event catalogue', command: node, args: ['scripts/event-catalogue.ts', '--check'] },
  { name: 'API document', command: node, args: ['scripts/openapi.ts', '--check'] },
  { name: 'diagrams', command: node, args: ['scripts/diagrams.ts', '--check'] },
  { name: 'observability', command: node, args: ['scripts/observability/dashboards.ts', '--check'] },
  { name: 'skaffold', command: node, args: ['scripts/checks/skaffold.ts'] },
  { name: 'manifests', command: node, args: ['scripts/checks/manifests.ts'], showsOutput: true },
];

export const checkNames = checks.map(({ name }) => name);

export type CheckResult = { name: string; seconds: number; isGood: boolean; output: string };

/** Runs all checks side by side. A check that takes longer than `limitMs` is ended and counts as failed. */
export async function runChecks(options: { limitMs: number }): Promise<CheckResult[]> {
  return await Promise.all(checks.map((check) => run(check, options.limitMs)));
}

/** What a person reads of a result. */
export function textOf({ name, seconds, isGood, output }: CheckResult): string {
  const line = `${isGood ? 'ok    ' : 'FAILED'}  ${name.padEnd(20)} ${seconds.toFixed(1)} s`;
  const isShown = !isGood || checks.some((check) => check.name === name && check.showsOutput);
  return isShown && output !== '' ? `${line}\n${output.trimEnd().replaceAll(/^/gm, '        ')}` : line;
}

function run(check: Check, limitMs: number): Promise<CheckResult> {
  const started = performance.now();
  return new Promise((resolve) => {
    const path = `${root}node_modules/.bin:${process.env['PATH'] ?? ''}`;
    const child = spawn(check.command, check.args, {
      cwd: root,
      env: { ...process.env, PATH: path },
      timeout: limitMs,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const end = (isGood: boolean) =>
      resolve({ name: check.name, seconds: (performance.now() - started) / 1000, isGood, output });
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code, signal) => {
      if (signal !== null) output += `\nended by ${signal} after ${limitMs / 1000} s`;
      end(code === 0);
    });
  });
}
