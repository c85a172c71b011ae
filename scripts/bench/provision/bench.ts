import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { untilTrue, whenPageAnswers } from '../conditions.ts';
import type { BenchReport, Cell } from '../report.ts';
import { median, medianDifference, medianRatio, percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { bootAlone } from './boot.ts';
import { type ClaimTimes, type RefillTimes, timeClaims, timeRefills } from './databases.ts';
import { medianSteps, readTimeline, type StepSpan } from './timeline.ts';
import { openWorld, type World } from './world.ts';

const timeoutMs = 120_000;
/** What provisioning may cost beyond Odoo's own boot: 1 s, and one period of the startup probe. */
const allowanceMs = 1_000 + 1_000;
const claimGoalMs = 100;
const renameGoalMs = 25;
const refillGoal = 1.5;

type Provisioned = { instanceId: string; pageMs: number; doneMs: number; steps: StepSpan[] };

/** Provisioning by an event against the boot of the same Odoo alone, and the work on databases inside it. */
export async function benchProvision(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 10;
  const world = await openWorld(surroundings, {
    odoo: surroundings.odoo,
    maxInstances: 2_000,
    warmTarget: 2,
    maxScale: 1,
  });
  try {
    const provisions: Provisioned[] = [];
    const boots: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      surroundings.say(`round ${round + 1} of ${rounds}`);
      const provisioned = await provision(world, `round-${round}`);
      provisions.push(provisioned);
      boots.push(await bootAfter(world, provisioned.instanceId, `boot-${round}`));
    }
    const first = provisions[0]?.instanceId ?? '';
    const { instance } = await readInstance(world.fleet.records, first);
    surroundings.say('claiming and personalising databases');
    const claims = await timeClaims(world, instance, Math.max(2, Math.ceil(rounds / 2)));
    surroundings.say('refilling');
    const refills = await timeRefills(world, rounds);
    return report({ provisions, boots, claims, refills }, { odoo: surroundings.odoo, rounds });
  } finally {
    await world.stop();
  }
}

/** One provisioning with cold functions, from the broker's 202 until the login page answers through the ingress. */
async function provision(world: World, name: string): Promise<Provisioned> {
  const { fleet } = world;
  await world.refill(2);
  await world.stopFunctions();
  const { instanceIds, acceptedMs } = await world.requests.send([name]);
  const instanceId = instanceIds[0] ?? '';
  const host = `${name}.localhost:${fleet.ingressPort}`;
  const url = `http://127.0.0.1:${fleet.ingressPort}/web/login`;
  const pageMs = (await whenPageAnswers(url, { host, timeoutMs })) - acceptedMs;
  const acceptedAtMs = performance.timeOrigin + acceptedMs;
  const read = () => readTimeline(fleet.records, instanceId, acceptedAtMs);
  const hasEnded = async () => ['succeeded', 'failed', 'cancelled'].includes((await read()).state);
  await untilTrue(`the provisioning of ${name} to end`, hasEnded, { timeoutMs, everyMs: 20 });
  const { state, errorText, steps } = await read();
  if (state !== 'succeeded') throw new Error(`The provisioning of ${name} ${state}: ${errorText ?? ''}`);
  return { instanceId, pageMs, doneMs: steps.at(-1)?.endedMs ?? Number.NaN, steps };
}

/** The other arm, with nothing of the first one running; its Deployment is still needed for the container's command. */
async function bootAfter(world: World, like: string, name: string): Promise<number> {
  await world.refill(1);
  await world.stopFunctions();
  return await bootAlone(world, { like, name, beforeStart: () => world.retire(like) });
}

type Results = { provisions: Provisioned[]; boots: number[]; claims: ClaimTimes; refills: RefillTimes };

function report(results: Results, { odoo, rounds }: { odoo: string; rounds: number }): BenchReport {
  return {
    name: 'provision',
    about: `with ${odoo === 'real' ? 'the real Odoo 19' : 'the stand-in, which is not Odoo'}, functions cold, ${rounds} rounds.`,
    tables: tablesOf(results),
    goals: goalsOf(results),
    notes: ['Both arms begin with a claimed database that Odoo has never opened, and poll the page every 20 ms.'],
  };
}

const spread = (name: string, samples: readonly number[]): Cell[] => [
  name,
  median(samples),
  Math.min(...samples),
  Math.max(...samples),
];

const share = (name: string, samples: readonly number[]): Cell[] => [
  name,
  percentile(samples, 0.5),
  percentile(samples, 0.95),
  Math.max(...samples),
];

function tablesOf({ provisions, boots, claims, refills }: Results): BenchReport['tables'] {
  const pages = provisions.map(({ pageMs }) => pageMs);
  return [
    {
      title: 'from the event to the login page, against the boot alone',
      columns: ['arm', 'median ms', 'min', 'max'],
      rows: [
        spread("provision: broker's 202 to login page through the ingress", pages),
        spread('boot: start of the same command to its login page', boots),
        [
          'difference, round by round',
          medianDifference(pages, boots),
          Math.min(...pages.map((ms, index) => ms - (boots[index] ?? Number.NaN))),
          Math.max(...pages.map((ms, index) => ms - (boots[index] ?? Number.NaN))),
        ],
        spread(
          "provision: broker's 202 to operation succeeded",
          provisions.map(({ doneMs }) => doneMs),
        ),
      ],
    },
    {
      title: 'steps of the operation, medians',
      columns: ['step', 'ms', "began, ms after the broker's 202"],
      rows: medianSteps(provisions.map(({ steps }) => steps)).map(({ step, ms, atMs }) => [step, ms, atMs]),
    },
    {
      title: `a warm database, ${claims.claim.length} times`,
      columns: ['', 'p50 ms', 'p95', 'max'],
      rows: [
        share('claim: fence, choice, rename, commit', claims.claim),
        share('personalise', claims.personalise),
        share('claim and personalise', claims.both),
        share('ALTER DATABASE … RENAME alone', claims.rename),
      ],
    },
    {
      title: `refill of the template's ${refills.files} files, ${refills.mib} MiB`,
      columns: ['arm', 'median ms', 'min', 'max'],
      rows: [spread('refill: one clone, named and closed', refills.refill), spread('cp -r of its files', refills.copy)],
    },
  ];
}

function goalsOf({ provisions, boots, claims, refills }: Results): BenchReport['goals'] {
  return [
    {
      what: 'median of provision, against median of boot + 1 s + one probe period',
      measured: median(provisions.map(({ pageMs }) => pageMs)),
      limit: median(boots) + allowanceMs,
      unit: 'ms',
      is: 'at most',
    },
    {
      what: 'claim and personalise a warm database, p95',
      measured: percentile(claims.both, 0.95),
      limit: claimGoalMs,
      unit: 'ms',
      is: 'at most',
    },
    {
      what: 'claim by rename, the fence and the commit included, p95',
      measured: percentile(claims.claim, 0.95),
      limit: renameGoalMs,
      unit: 'ms',
      is: 'at most',
    },
    {
      what: 'refill against cp -r, median of the rounds',
      measured: medianRatio(refills.refill, refills.copy),
      limit: refillGoal,
      unit: 'x',
      is: 'at most',
    },
  ];
}
