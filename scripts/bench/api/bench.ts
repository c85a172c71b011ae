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
const ratioGoal = 1.3;
const cachedGoal = 5;

const arms = [
  ...(['bareList', 'apiList', 'bareSearch', 'apiSearch', 'bareDetail', 'apiDetail', 'cachedDetail'] as const),
  ...(['bareCreate', 'apiCreate'] as const),
] as const;
type Arm = (typeof arms)[number];
type Found = { samples: Record<Arm, Sample[]>; words: Record<'missed' | 'cached', Map<string, number>>; trips: number };

/** What the function `api` takes for a list, a search, a detail and a new instance, against the same SQL by node:http and pg. */
export async function benchApi(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 5;
  const world = await openApiWorld(surroundings, instances);
  const [api, bare] = [openCaller(world.apiUrl), openCaller(world.bareUrl)];
  const asks = requestsOf(world);
  const words = { missed: new Map<string, number>(), cached: new Map<string, number>() };
  const measured: Record<Arm, () => Promise<Sample>> = {
    bareList: () => bare.load(asks.list),
    apiList: () => api.load(asks.list),
    bareSearch: () => bare.load(asks.search),
    apiSearch: () => api.load(asks.search),
    bareDetail: () => bare.load(asks.another),
    apiDetail: () => api.load(asks.next, words.missed),
    cachedDetail: () => api.load(asks.popular, words.cached),
    async bareCreate() {
      const sample = await bare.load(asks.create);
      await world.forgetEvents();
      return sample;
    },
    apiCreate: () => api.load(asks.create),
  };
  try {
    surroundings.say('warming');
    for (const arm of arms) await measured[arm]();
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

const pairs = [
  ['list of 20', 'apiList', 'bareList'],
  ['search among all', 'apiSearch', 'bareSearch'],
  ['detail, not in the cache', 'apiDetail', 'bareDetail'],
  ['create', 'apiCreate', 'bareCreate'],
] as const satisfies readonly (readonly [string, Arm, Arm])[];

function report({ samples, words, trips }: Found, rounds: number): BenchReport {
  const of = (arm: Arm, field: keyof Sample) => samples[arm].map((sample) => sample[field]);
  const ratio = (api: Arm, bare: Arm) => medianRatio(of(api, 'p95Ms'), of(bare, 'p95Ms'));
  const row = (name: string, api: Arm, bare: Arm) => [
    name,
    ...[bare, api].map((arm) => median(of(arm, 'p50Ms'))),
    ...[bare, api].map((arm) => median(of(arm, 'p95Ms'))),
    ratio(api, bare),
    ...[bare, api].map((arm) => median(of(arm, 'perSecond'))),
  ];
  const goals: Goal[] = pairs.map(([name, api, bare]) => ({
    ...{ what: `${name}: p95 against the same SQL alone`, measured: ratio(api, bare) },
    ...{ limit: ratioGoal, unit: 'x', is: 'at most' },
  }));
  const faster = medianRatio(of('cachedDetail', 'perSecond'), of('apiDetail', 'perSecond'));
  return {
    name: 'api',
    about: `${callers} callers in a closed loop, ${rounds} rounds of ${roundMs / 1_000} s per arm; ${instances.toLocaleString('en-US')} instances; PostgreSQL waits for its disk, PgBouncer, Redis.`,
    tables: [
      {
        title: 'medians of the rounds: bare node:http + pg, and the function api',
        columns: ['', 'bare p50 ms', 'api p50', 'bare p95', 'api p95', 'p95 ×', 'bare /s', 'api /s'],
        rows: [...pairs, ['detail, cached', 'cachedDetail', 'bareDetail'] as const].map(([name, api, bare]) =>
          row(name, api, bare),
        ),
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
      `X-Cache of details not in the cache: ${counted(words.missed)}; of cached ones: ${counted(words.cached)}.`,
      'Bare: nobody is authenticated, limited, validated, logged or published; its create runs the same statements.',
    ],
  };
}

function counted(words: ReadonlyMap<string, number>): string {
  return [...words].map(([word, count]) => `${word} ${count.toLocaleString('en-US')}`).join(', ');
}
