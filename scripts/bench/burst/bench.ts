import { untilTrue } from '../conditions.ts';
import { openWorld, type World } from '../provision/world.ts';
import type { BenchReport } from '../report.ts';
import { growthExponent, median } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { watchMemory } from './memory.ts';

const sizes = [1, 5, 10, 20] as const;
type Size = (typeof sizes)[number];
const timeoutMs = 180_000;
const warmTarget = 2;
/** Processes per function at most: what Knative would start for 20 requests at 10 each, and one more. */
const maxScale = 3;

type Sample = { wallMs: number; eachMs: number; mib: number; processes: number };

/** Many provisions at once: how time and memory grow with their number. */
export async function benchBurst(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 3;
  const world = await openWorld(surroundings, { odoo: 'stand-in', maxInstances: 40_000, warmTarget, maxScale });
  try {
    const samples = new Map<Size, Sample[]>(sizes.map((size) => [size, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const size of round % 2 === 0 ? sizes : sizes.toReversed()) {
        surroundings.say(`round ${round + 1} of ${rounds}: ${size} at once`);
        const names = Array.from({ length: size }, (_, index) => `burst-${round}-${size}-${index}`);
        samples.get(size)?.push(await provisionAll(world, names));
      }
    }
    return report(samples, rounds);
  } finally {
    await world.stop();
  }
}

/** Time from the broker's last 202 until all operations have succeeded, with cold functions. */
async function provisionAll(world: World, names: readonly string[]): Promise<Sample> {
  const { fleet } = world;
  await world.refill(warmTarget);
  await world.stopFunctions();
  const memory = watchMemory(fleet.functions);
  try {
    const { instanceIds, acceptedMs } = await world.requests.send(names);
    await untilTrue(`${names.length} provisionings to end`, () => haveSucceeded(world, instanceIds), {
      timeoutMs,
      everyMs: 20,
    });
    const wallMs = performance.now() - acceptedMs;
    const { mib, processes } = await memory.stop();
    const eachMs = await medianOperationMs(world, instanceIds);
    for (const instanceId of instanceIds) await world.retire(instanceId);
    return { wallMs, eachMs, mib, processes };
  } finally {
    await memory.stop();
  }
}

async function haveSucceeded({ fleet }: World, instanceIds: readonly string[]): Promise<boolean> {
  const { rows } = await fleet.records.query<{ state: string; error_text: string | null }>(
    `select state, error_text from operations where instance_id = any($1) and state in ('succeeded', 'failed')`,
    [instanceIds],
  );
  const failed = rows.find(({ state }) => state === 'failed');
  if (failed !== undefined) throw new Error(`A provisioning failed: ${failed.error_text ?? ''}`);
  return rows.length === instanceIds.length;
}

async function medianOperationMs({ fleet }: World, instanceIds: readonly string[]): Promise<number> {
  const { rows } = await fleet.records.query<{ ms: number }>(
    `select (result ->> 'seconds')::float8 * 1000 as ms from operations where instance_id = any($1)`,
    [instanceIds],
  );
  return median(rows.map(({ ms }) => ms));
}

function report(samples: ReadonlyMap<Size, Sample[]>, rounds: number): BenchReport {
  const of = (size: Size, field: keyof Sample) => median((samples.get(size) ?? []).map((sample) => sample[field]));
  const each = (size: Size) => of(size, 'wallMs') / size;
  const exponent = (value: (size: Size) => number) => growthExponent(sizes.map((x) => ({ x, y: value(x) })));
  const rows = sizes.map((size) => [
    `${size} at once`,
    of(size, 'wallMs'),
    each(size),
    each(size) / each(1),
    of(size, 'eachMs'),
    of(size, 'mib'),
    of(size, 'mib') / of(1, 'mib'),
    of(size, 'processes').toFixed(0),
  ]);
  return {
    name: 'burst',
    about: `provisions at once with the stand-in, functions cold, ${warmTarget} databases warm and the others cloned, ${rounds} rounds.`,
    tables: [
      {
        title: 'medians',
        columns: [
          '',
          'all, ms',
          'ms per provision',
          '× of 1',
          'one, from accepted to done, ms',
          'functions MiB',
          '× of 1',
          'processes',
        ],
        rows,
      },
      {
        title: 'growth from 1 to 20: the k of c · n^k; 1 is in proportion, below 1 is better',
        columns: ['', 'k'],
        rows: [
          ['time of all', exponent((size) => of(size, 'wallMs'))],
          ['time per provision', exponent(each)],
          ["peak memory of the functions' processes", exponent((size) => of(size, 'mib'))],
        ],
      },
    ],
    goals: [],
    notes: [
      'Memory is the sum of resident sizes, so pages that processes share are counted once for each.',
      `At most ${maxScale} processes per function. The instances' own processes are on the same processors, and in the time.`,
    ],
  };
}
