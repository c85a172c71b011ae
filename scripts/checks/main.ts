import { parseArgs } from 'node:util';
import { checkNames, runChecks, textOf } from './checks.ts';

/** They share the machine with whatever else runs on it. */
const limitMs = 300_000;

const { values } = parseArgs({ options: { help: { type: 'boolean' }, json: { type: 'boolean' } } });
if (values.help) {
  console.log(`Usage: npm run check [-- --json]

Runs side by side: ${checkNames.join(', ')}.

  --json  one JSON document: [{"name", "seconds", "isGood", "output"}]
  --help  this text

Exit codes: 0 all is well, 1 something is not.`);
} else {
  const results = await runChecks({ limitMs });
  console.log(values.json ? JSON.stringify(results, null, 2) : results.map(textOf).join('\n'));
  process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1;
}
