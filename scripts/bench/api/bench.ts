import type { BenchReport, Goal } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Asked, callers, openCaller, roundMs, type Sample } from './load.ts';
import { commandsDuring } from './round-trips.ts';
import { buyers } from './rows.ts';
import { type ApiWorld, openApiWorld } from './world.ts';

/** More than are read once each in all rounds. */
const instances = 40_000;
/** Instances that are read again and again. */
const popular = 50;
/** Of each arm, a second each: a process that has just begun compiles what it runs, and takes half as much again for a detail. */
const warmUps = 3;
const ratioGoal = 1.3;
const cachedGoal = 5;

const kinds = ['list', 'search', 'detail', 'create'] as const;
type Kind = (typeof kinds)[number];
/** Each kind by each server: as often as it can, and as often as users ask. */
type Arm = `${'bare' | 'api'} ${Kind}${'' | ' arriving'}` | 'api cached';

/**
 * A second, of each kind. The soak of `scripts/load/profile.js`, 1,000 users of whom each asks every two seconds, is 500 a
 * second for all processes together; a search of all and a new instance are rare.
 */
const arrivals: Readonly<Record<Kind, number>> = { list: 50, search: 10, detail: 100, create: 10 };

type Found = { samples: Record<Arm, Sample[]>; words: Record<'missed' | 'cached', Map<string, number>>; trips: number };

/** What the function `api` takes for a list, a search, a detail and a new instance, against the same SQL by node:http and pg. */
export async function benchApi(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 5;
  const world = await openApiWorld(surroundings, instances);
  const [api, bare] = [openCaller(world.api), openCaller(world.bare)];
  const asks = requestsOf(world);
  const words = { missed: new Map<string, number>(), cached: new Map<string, number>() };
  const forgetting = async (sample: Promise<Sample>) => {
    const found = await sample;
    await world.forgetEvents();
    return found;
  };
  const measured = {
    'api cached': () => api.load(asks.popular, words.cached),
    ...Object.fromEntries(
      kinds.flatMap((kind): [Arm, () => Promise<Sample>][] => {
        const [ofBare, ofApi] = kind === 'detail' ? [asks.another, asks.next] : [asks[kind], asks[kind]];
        const cleaned = kind === 'create' ? forgetting : (sample: Promise<Sample>) => sample;
        return [
          [`bare ${kind}`, () => cleaned(bare.load(ofBare))],
          [`api ${kind}`, () => api.load(ofApi, kind === 'detail' ? words.missed : undefined)],
          [`bare ${kind} arriving`, () => cleaned(bare.arrive(ofBare, arrivals[kind]))],
          [`api ${kind} arriving`, () => api.arrive(ofApi, arrivals[kind])],
        ];
      }),
    ),
  } as Record<Arm, () => Promise<Sample>>;
  try {
    surroundings.say('warming');
    for (let turn = 0; turn < warmUps; turn += 1) for (const measure of Object.values(measured)) await measure();
    for (const counted of Object.values(words)) counted.clear();
    const samples = await interleave(rounds, measured, (round) => surroundings.say(`round ${round + 1} of ${rounds}`));
    let answers = 0;
    const commands = await commandsDuring(world.redis, async () => {
      answers = (await api.load(asks.list)).answers;
    });
    return report({ samples, words, trips: commands / answers }, rounds);
  } finally {
    await Promise.all([api.close(), bare.close()]);
    await world.stop();
  }
}

function requestsOf({
  ids,
  keys,
  adminKey,
}: ApiWorld): Record<'list' | 'search' | 'next' | 'another' | 'popular' | 'create', () => Asked> {
  let count = 0;
  let read = 0;
  const of = (path: string): Asked => {
    count += 1;
    return { method: 'GET', path, key: keys[count % keys.length] ?? '' };
  };
  const some = (among: number) => ids[Math.floor(Math.random() * among)] ?? '';
  const owner = { email: 'owner@acme.example' };
  return {
    list: () => of('/v1/instances?limit=20'),
    search: () => of(`/v1/instances?limit=20&search=n-${some(ids.length).slice(0, 4)}`),
    // each once, so that no copy of it is in the cache
    next: () => {
      const id = ids[popular + read];
      read += 1;
      if (id === undefined) throw new Error('all instances were read: give the bench more of them');
      return of(`/v1/instances/${id}`);
    },
    another: () => of(`/v1/instances/${some(ids.length)}`),
    popular: () => of(`/v1/instances/${some(popular)}`),
    create: () => {
      count += 1;
      const wanted = { customer: buyers[count % buyers.length], name: `made-${count}`, plan: 'small', owner };
      return { method: 'POST', path: '/v1/instances', key: adminKey, body: JSON.stringify(wanted) };
    },
  };
}

const names: Readonly<Record<Kind, string>> = {
  list: 'list of 20',
  search: 'search among all',
  detail: 'detail, not in the cache',
  create: 'create',
};

function report({ samples, words, trips }: Found, rounds: number): BenchReport {
  const of = (arm: Arm, field: keyof Sample) => samples[arm].map((sample) => sample[field]);
  const ratio = (api: Arm, bare: Arm) => medianRatio(of(api, 'p95Ms'), of(bare, 'p95Ms'));
  const row = (name: string, api: Arm, bare: Arm) => [
    name,
    ...[bare, api].map((arm) => median(of(arm, 'p50Ms'))),
    ...[bare, api].map((arm) => median(of(arm, 'p95Ms'))),
    ratio(api, bare),
    ...[bare, api].map((arm) => median(of(arm, 'perSecond'))),
    ...[bare, api].map((arm) => median(of(arm, 'cpuUs'))),
  ];
  const columns = [
    ...['', 'bare p50 ms', 'api p50', 'bare p95', 'api p95', 'p95 ×', 'bare /s', 'api /s'],
    ...['bare CPU µs', 'api CPU µs'],
  ];
  const goals: Goal[] = kinds.map((kind) => ({
    ...{ what: `${names[kind]}: p95 against the same SQL alone`, measured: ratio(`api ${kind}`, `bare ${kind}`) },
    ...{ limit: ratioGoal, unit: 'x', is: 'at most' },
  }));
  const faster = medianRatio(of('api cached', 'perSecond'), of('api detail', 'perSecond'));
  return {
    name: 'api',
    about: `${rounds} rounds of ${roundMs / 1_000} s per arm; ${instances.toLocaleString('en-US')} instances; PostgreSQL waits for its disk, PgBouncer, Redis.`,
    tables: [
      {
        title: `as much as it can take, ${callers} callers in a closed loop: medians of the rounds, bare node:http + pg and the function api`,
        columns,
        rows: [
          ...kinds.map((kind) => row(names[kind], `api ${kind}`, `bare ${kind}`)),
          row('detail, cached', 'api cached', 'bare detail'),
        ],
      },
      {
        title: 'as often as users ask, whether or not others were answered',
        columns,
        rows: kinds.map((kind) => row(names[kind], `api ${kind} arriving`, `bare ${kind} arriving`)),
      },
    ],
    goals: [
      ...goals,
      {
        what: 'cached details per second, against not cached',
        measured: faster,
        limit: cachedGoal,
        unit: 'x',
        is: 'at least',
      },
      { what: 'Redis round trips of the rate limit', measured: trips, limit: 1, unit: 'per call', is: 'at most' },
    ],
    notes: [
      'The goals are those of the closed loop: there a time is the processor time of all who ask, so it is the harder one.',
      'CPU: of the server’s own process, per answer.',
      `X-Cache of details not in the cache: ${counted(words.missed)}; of cached ones: ${counted(words.cached)}.`,
      'Bare: nobody is authenticated, limited, validated, logged or published; its create runs the same statements.',
    ],
  };
}

function counted(words: ReadonlyMap<string, number>): string {
  return [...words].map(([word, count]) => `${word} ${count.toLocaleString('en-US')}`).join(', ');
}
