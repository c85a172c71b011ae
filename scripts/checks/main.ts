import { parseArgs } from 'node:util';
import { checkNames, runChecks, textOf } from './checks.ts';

/** They share the machine with whatever else runs on it. */
const limitMs = 300_000;

const { values } = parseArgs({ options: { help: { type: 'boolean' }, json: { type: 'boolean' } } });
if (values.help) {
  console.log(`Usage: npm run check [-- --json]\n\nRuns side by side: ${checkNames.join(', ')}.`);
} else {
  const results = await runChecks({ limitMs });
  console.log(values.json ? JSON.stringify(results, null, 2) : results.map(textOf).join('\n'));
  process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1;
}
