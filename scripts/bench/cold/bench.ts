import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildFunctions } from '#scripts/build/build.ts';
import { bundleHosted } from '#scripts/build/hosted.ts';
import type { BenchReport, Goal } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { type ColdFunction, freshEvents } from './events.ts';
import { type ColdArm, type ColdSample, timeStart } from './start.ts';
import { openColdWorld } from './world.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const bare = fileURLToPath(new URL('servers/bare.cjs', import.meta.url));
const naive = fileURLToPath(new URL('servers/naive.ts', import.meta.url));
const framework = join(root, 'node_modules/@google-cloud/functions-framework/build/src/main.js');

const names = Object.keys(freshEvents) as ColdFunction[];
/** Their first event calls Kubernetes. */
const withCluster: readonly ColdFunction[] = ['provision'];
const limits = { ready: 1.7, hosted: 2.5, accepted: 2.5, memory: 1.4 };

/** How long functions take to start: bundles of the build against a bare server on node:http, in the same rounds. */
export async function benchCold(surroundings: Surroundings): Promise<BenchReport> {
  const { folder, say } = surroundings;
  const rounds = surroundings.rounds ?? 11;
  const world = await openColdWorld(surroundings);
  try {
    say('building the bundles');
    const built = join(folder, 'dist');
    await buildFunctions(names, { outFolder: built });
    await bundleHosted('billing', join(built, 'hosted'));
    const program = (name: string): ColdArm => ({ args: [join(built, name, 'main.js')], env: world.env, status: 200 });
    const arms: Record<string, () => ColdArm> = {
      'bare node:http': () => ({ args: [bare], env: {}, status: 200 }),
      'bare node:http, event': () => ({ args: [bare], env: {}, status: 204, event: freshEvents.billing() }),
      'billing in functions-framework': () => ({ ...program('hosted'), status: 405 }),
      'naive: everything imported, unbundled, functions-framework': () => ({
        args: [framework, '--target=naive', `--source=${naive}`],
        env: {},
        status: 204,
        event: freshEvents.billing(),
      }),
    };
    for (const name of names) {
      arms[name] = () => program(name);
      arms[`${name}, event`] = () => ({ ...program(name), status: 204, event: freshEvents[name]() });
    }
    const samples = await interleave(
      rounds + 1,
      Object.fromEntries(
        Object.entries(arms).map(([name, arm]) => [
          name,
          async () => {
            await world.warm();
            return await timeStart(name, arm(), surroundings);
          },
        ]),
      ),
      (round) => say(round === 0 ? 'a first round that does not count' : `round ${round} of ${rounds}`),
    );
    return report(samples, rounds);
  } finally {
    await world.stop();
  }
}

function report(samples: Record<string, ColdSample[]>, rounds: number): BenchReport {
  // the first round reads the files from the disk
  const of = (arm: string, field: keyof ColdSample) => (samples[arm] ?? []).slice(1).map((sample) => sample[field]);
  const floorOf = (arm: string) =>
    `bare node:http${arm.endsWith(', event') || arm.startsWith('naive') ? ', event' : ''}`;
  const ratio = (arm: string, field: keyof ColdSample) => medianRatio(of(arm, field), of(floorOf(arm), field));
  const row = (arm: string) => [
    arm,
    median(of(arm, 'ms')),
    Math.min(...of(arm, 'ms')),
    ratio(arm, 'ms'),
    ratio(arm, 'cpuMs'),
    median(of(arm, 'mib')),
    ratio(arm, 'mib'),
  ];
  const goal = (what: string, measured: number, limit: number): Goal => ({
    what,
    measured,
    limit,
    unit: 'x',
    is: 'at most',
  });
  const worst = (arms: readonly string[], field: keyof ColdSample) => Math.max(...arms.map((arm) => ratio(arm, field)));
  const withoutCluster = names.filter((name) => !withCluster.includes(name));
  return {
    name: 'cold',
    about: `spawn to the first answer, page cache warm, every arm once per round, ${rounds} rounds.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds, against the bare server asked the same',
        columns: ['program', 'ms', 'least', '× bare', 'CPU × bare', 'idle MiB', '× bare'],
        rows: Object.keys(samples).map(row),
      },
    ],
    goals: [
      goal('spawn to the first 200 of /readyz, the slowest function', worst(names, 'ms'), limits.ready),
      goal(
        'the same in functions-framework, to its first answer',
        ratio('billing in functions-framework', 'ms'),
        limits.hosted,
      ),
      goal(
        'spawn to the first 204 after the whole accept transaction, the slowest function',
        worst(
          withoutCluster.map((name) => `${name}, event`),
          'ms',
        ),
        limits.accepted,
      ),
      ...withCluster.map((name) =>
        goal(`the same, ${name}, whose first event calls Kubernetes`, ratio(`${name}, event`, 'ms'), limits.accepted),
      ),
      goal('idle memory, the largest function', worst(names, 'mib'), limits.memory),
    ],
    notes: [
      'In functions-framework a function answers only events: its first answer is 405 to GET /readyz.',
      'provision goes on with the steps of its operation: it places the instance and makes its Secret in the sandbox’s API server.',
      'Processor time is that of all threads that live at the first answer, as the scheduler counts it.',
    ],
  };
}
