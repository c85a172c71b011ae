import { expect, test } from 'vitest';
import { formatReport } from '#scripts/test/storm/report.ts';
import { runStorm } from '#scripts/test/storm/run.ts';

// The small one; `node scripts/test/storm/main.ts` brings the big one about, with a seed of one's choice.
test('a fleet survives a storm: afterwards every instance is where a plain sequential model says', async () => {
  const report = await runStorm({
    seed: 20_261_121,
    instances: 30,
    commands: 300,
    seconds: 20,
    // a pod that has failed often is started again only after minutes, and a try that has failed often, too
    quietTimeoutMs: 300_000,
    say: () => undefined,
  });
  process.stdout.write(`${formatReport(report)}\n`);
  expect(report.violations).toEqual(Object.fromEntries(Object.keys(report.violations).map((subject) => [subject, []])));
  expect(report.quiet.isQuiet, report.quiet.unrest.join('\n')).toBe(true);
  expect(report.observed.auditEntries).toBeGreaterThan(300);
}, 900_000);
