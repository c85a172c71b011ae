import { parseArgs } from 'node:util';
import { runChecks, textOf } from '#scripts/checks/checks.ts';
import { notRun, reportText, type TierResult, totalOf } from './report.ts';
import { runTier } from './run-tier.ts';
import { type TierName, tierNames, tiers } from './tiers.ts';

const usage = `Usage: npm test [-- [TIER ...] [--json] [--help]]

Sets up what is missing and runs tiers one after another; all of them when none is named.

  check          types, lint, boundaries, format, unused code, generated files, manifests
${tierNames.map((name) => `  ${name.padEnd(14)} ${tiers[name].about}`).join('\n')}

  --json         print one JSON document last, and progress on stderr

A tier that cannot run on this machine says why and is skipped; with CI=true in the environment it has failed.
Exit codes: 0 all passed, 1 something failed, 2 wrong options, 130 ended by a signal.
`;

const isCi = process.env['CI'] === 'true';
const interrupt = new AbortController();
const interrupted = new Promise<void>((resolve) => interrupt.signal.addEventListener('abort', () => resolve()));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt.abort());

const code = await main(process.argv.slice(2));
// What was being set up would hold this process until it is done.
if (interrupt.signal.aborted) process.exit(code);
process.exitCode = code;

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'string') {
    console.error(`${options}\n\n${usage}`);
    return 2;
  }
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const say = (line: string) => (options.json ? console.error(line) : console.log(line));
  const results: TierResult[] = [];
  for (const name of options.names) {
    if (interrupt.signal.aborted) break;
    say(`\n== ${name}`);
    results.push(name === 'check' ? await check(say) : await test(name, { say, output: options.json ? 2 : 1 }));
  }
  const total = totalOf(results);
  console.log(options.json ? JSON.stringify({ tiers: results, ...total }, null, 2) : `\n${reportText(results)}`);
  if (interrupt.signal.aborted) return 130;
  return total.failed === 0 ? 0 : 1;
}

type Options = { help: boolean; json: boolean; names: ('check' | TierName)[] };

/** The options, or what is wrong with them. */
function readOptions(args: string[]): Options | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { help: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    });
    const known = ['check', ...tierNames] as const;
    const unknown = positionals.find((name) => !known.some((one) => one === name));
    if (unknown !== undefined) return `There is no tier ${JSON.stringify(unknown)}.`;
    const names = known.filter((name) => positionals.length === 0 || positionals.includes(name));
    return { ...values, names };
  } catch (error) {
    return (error as Error).message;
  }
}

async function check(say: (line: string) => void): Promise<TierResult> {
  const started = performance.now();
  const results = await runChecks({ limitMs: 300_000 });
  for (const result of results) say(textOf(result));
  const failures = results.filter(({ isGood }) => !isGood).map(({ name }) => name);
  return {
    tier: 'check',
    passed: results.length - failures.length,
    failed: failures.length,
    skipped: 0,
    seconds: (performance.now() - started) / 1000,
    notes: [],
    failures,
  };
}

async function test(name: TierName, options: { say: (line: string) => void; output: 1 | 2 }): Promise<TierResult> {
  const tier = tiers[name];
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  try {
    await Promise.race([tier.setUp(options.say), interrupted]);
  } catch (error) {
    const result = notRun(name, (error as Error).message, { isCi, seconds: seconds() });
    options.say(`cannot run here: ${(error as Error).message}`);
    return result;
  }
  if (interrupt.signal.aborted) return notRun(name, 'interrupted', { isCi, seconds: seconds() });
  const result = await runTier(tier, { output: options.output, signal: interrupt.signal });
  return { ...result, seconds: seconds() };
}
