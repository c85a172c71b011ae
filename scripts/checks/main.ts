import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A check: a program that ends with 0 when all is well and says what is not otherwise. */
type Check = { name: string; command: string; args: string[] };

const node = process.execPath;
const checks: readonly Check[] = [
  { name: 'types', command: 'tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'lint and boundaries', command: 'oxlint', args: ['--type-aware', '--quiet'] },
  { name: 'format', command: 'biome', args: ['ci', '--reporter=summary', '.'] },
  { name: 'unused code', command: 'knip', args: ['--no-progress'] },
  { name: 'event catalogue', command: node, args: ['scripts/event-catalogue.ts', '--check'] },
  { name: 'diagrams', command: node, args: ['scripts/diagrams.ts', '--check'] },
  { name: 'manifests', command: node, args: ['scripts/checks/manifests.ts'] },
];

type Result = { name: string; seconds: number; isGood: boolean; output: string };

function run(check: Check): Promise<Result> {
  const started = performance.now();
  return new Promise((resolve) => {
    const path = `${root}node_modules/.bin:${process.env['PATH'] ?? ''}`;
    const child = spawn(check.command, check.args, { cwd: root, env: { ...process.env, PATH: path } });
    let output = '';
    const end = (isGood: boolean) =>
      resolve({ name: check.name, seconds: (performance.now() - started) / 1000, isGood, output });
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', (error) => {
      output += error.message;
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

const { values } = parseArgs({ options: { help: { type: 'boolean' }, json: { type: 'boolean' } } });
if (values.help) {
  console.log(`Usage: npm run check [-- --json]\n\nRuns: ${checks.map(({ name }) => name).join(', ')}.`);
} else {
  const results = await Promise.all(checks.map(run));
  if (values.json) console.log(JSON.stringify(results, null, 2));
  else {
    for (const { name, seconds, isGood, output } of results) {
      console.log(`${isGood ? 'ok    ' : 'FAILED'}  ${name.padEnd(20)} ${seconds.toFixed(1)} s`);
      if (!isGood) console.log(output.trimEnd().replaceAll(/^/gm, '        '));
    }
  }
  process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1;
}
