import { functionNames } from '#scripts/build/build.ts';
import type { BenchReport, Table } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio, percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { bareArm, type ClusterArm, requestArm, type Way } from './arms.ts';
import { handledBy, type IdleMemory, measureIdleMemory } from './numbers.ts';
import { openWorld, untilAtZero, type World, whyNoWorld } from './world.ts';

const warmEvents = 40;
const burstEvents = 200;
const inFlight = 16;

type Round = {
  coldMs: number;
  /** Medians of one event after the other. */
  warmMs: number;
  warmP95Ms: number;
  /** Mean time in the handler of a warm event; NaN where there is none to ask. */
  handledMs: number;
  perSecond: number;
};

/** The deployed fleet on this machine's cluster: events through the real Broker, and memory when nothing happens. */
export async function benchCluster(surroundings: Surroundings): Promise<BenchReport> {
  const about = 'the overlay dev on the cluster of this machine, beside a Knative Service that only answers 204';
  const obstacle = await whyNoWorld();
  if (obstacle !== undefined) {
    return { name: 'cluster', about: `${about}.`, tables: [], goals: [], notes: [`Skipped. ${obstacle}`] };
  }
  const rounds = surroundings.rounds ?? 3;
  const world = await openWorld(surroundings);
  try {
    const arms = { bare: bareArm(world), request: requestArm(world) };
    const measure = (arm: ClusterArm) => () => measureRound(world, arm);
    const samples = await interleave(rounds, { bare: measure(arms.bare), request: measure(arms.request) }, (round) =>
      surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    surroundings.say('memory');
    const triggers = (await world.fleet.kubectl.run(['-n', 'odoo-fleet', 'get', 'triggers', '-o', 'name'])).trim();
    const functions = (await functionNames()).filter((name) => name !== 'suspension-page');
    const memory = await measureIdleMemory(world, [...functions, 'bare']);
    return {
      name: 'cluster',
      about: `${about}; ${rounds} rounds.`,
      tables: [events(samples), idle(memory)],
      goals: [],
      notes: [
        'Requests: to suspend instances that nobody knows. Each is the whole transaction of an accepted request, and an event that tells of the refusal.',
        'Done: the subscriber has the event (bare); the Broker has taken the event that tells of the end (request).',
        `The in-memory broker asks its filter about every event once for each of the ${triggers.split('\n').length} Triggers; a request is two events.`,
        'The publisher, the cluster, both databases and the pods share the processors. A tick of the fleet comes every ten seconds.',
      ],
    };
  } finally {
    await world.stop();
  }
}

async function measureRound(world: World, arm: ClusterArm): Promise<Round> {
  await untilAtZero(world, [arm.service]);
  const cold = await oneByOne(arm, 1);
  // The first ones are compiled while they run.
  await oneByOne(arm, warmEvents);
  const before = await handledBy(world, arm.service);
  const warm = (await oneByOne(arm, warmEvents)).map(durationOf);
  const after = await handledBy(world, arm.service);
  const burst = await arm.run(burstEvents, { inFlight });
  return {
    coldMs: median(cold.map(durationOf)),
    warmMs: median(warm),
    warmP95Ms: percentile(warm, 0.95),
    handledMs: ((after.seconds - before.seconds) * 1_000) / (after.count - before.count),
    perSecond: burstEvents / ((lastOf(burst) - firstOf(burst)) / 1_000),
  };
}

/** Each is done before the next one is sent: the Broker's own answer comes long before that. */
async function oneByOne(arm: ClusterArm, count: number): Promise<Way[]> {
  const ways: Way[] = [];
  while (ways.length < count) ways.push(...(await arm.run(1, { inFlight: 1 })));
  return ways;
}

const durationOf = ({ beganMs, doneMs }: Way): number => doneMs - beganMs;
const firstOf = (ways: readonly Way[]): number => Math.min(...ways.map(({ beganMs }) => beganMs));
const lastOf = (ways: readonly Way[]): number => Math.max(...ways.map(({ doneMs }) => doneMs));

function events({ bare, request }: Record<'bare' | 'request', Round[]>): Table {
  const row = (what: string, field: keyof Round) => {
    const [of, beside] = [request.map((round) => round[field]), bare.map((round) => round[field])];
    return [what, median(beside), median(of), medianRatio(of, beside)];
  };
  const share = request.map(({ handledMs, warmMs }) => (handledMs / warmMs) * 100);
  return {
    title: 'from the POST at the Broker until done, medians of the rounds',
    columns: ['', 'bare', 'request', '× of bare'],
    rows: [
      row('first event, from zero, ms', 'coldMs'),
      row('warm event, ms', 'warmMs'),
      row('warm event, 95th percentile, ms', 'warmP95Ms'),
      row(`events/s, ${burstEvents} at once, ${inFlight} in flight`, 'perSecond'),
      ['in our function, mean, ms', '', median(request.map(({ handledMs }) => handledMs)), ''],
      ['in our function, % of a warm event', '', median(share), ''],
    ],
  };
}

function idle({ functions, ...memory }: IdleMemory): Table {
  const bare = functions.get('bare') ?? Number.NaN;
  const ours = [...functions].filter(([name]) => name !== 'bare').sort(([, a], [, b]) => a - b);
  const sizes = ours.map(([, size]) => size);
  const [least, most] = [ours[0], ours.at(-1)];
  const row = (what: string, size: number) => [what, size, size / bare];
  return {
    title: 'memory with nothing to do, working sets by the kubelet',
    columns: ['', 'MiB', '× of bare'],
    rows: [
      row('the bare subscriber', bare),
      row(`a function, median of ${sizes.length}`, median(sizes)),
      row(`the least, ${least?.[0]}`, least?.[1] ?? Number.NaN),
      row(`the most, ${most?.[0]}`, most?.[1] ?? Number.NaN),
      row('the queue-proxy beside each', memory.proxy),
      row('at zero: suspension page', memory.suspensionPage),
      row("at zero: adapter of the cluster's events", memory.eventSource),
      row(
        'all functions at one pod each, with their proxies',
        sizes.reduce((sum, one) => sum + one + memory.proxy, 0),
      ),
      row('Knative itself, Serving and Eventing', memory.knative),
    ],
  };
}
