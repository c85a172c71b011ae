import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openCache } from '#shared/adapters/redis/cache.ts';
import { type CacheResult, localTtlMs } from '#shared/domain/cache/cache.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { type RedisServer, startRedis } from '#shared/sandbox/servers/redis.ts';
import type { BenchReport, Goal } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Staleness, stalenessElsewhere } from './elsewhere.ts';
import { type CachedRow, rowOf } from './rows.ts';
import { seeded, zipf } from './zipf.ts';

const instances = 10_000;
const writeShare = 0.05;
const inFlight = 50;
const calls = 150_000;
/** A query by primary key through PgBouncer takes about as long. */
const loadMs = 1;
const speedRows = 200;
/** Shorter than own copies are kept. */
const speedMs = 600;
const hitGoal = 95;
const speedGoal = 10;

type Cache = ReturnType<typeof openCache>;

/** Reads of 10,000 rows through the cache as shipped, on a real Redis: hits, speed, and how old what it gives can be. */
export async function benchCache(surroundings: Surroundings): Promise<BenchReport> {
  const { folder, processes, say } = surroundings;
  const rounds = surroundings.rounds ?? 5;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const redis = await startRedis({ processes, folder: join(folder, 'redis'), password: generatePassword() });
  try {
    say('hits, writes spread over all rows');
    const spread = await mixed(redis, 'spread');
    say('hits, writes where the reads are');
    const same = await mixed(redis, 'as-reads');
    const speed = await speeds(redis, rounds, say);
    say('staleness in another process');
    const elsewhere = await stalenessElsewhere({ folder, processes }, redis);
    return report({ spread, same, speed, elsewhere, rounds });
  } finally {
    await redis.stop();
  }
}

function open(redis: RedisServer, options: { namespace: string; results?: CacheResult[]; localTtlMs?: number }): Cache {
  const { namespace, results, ...settings } = options;
  return openCache({
    address: { host: redis.host, port: redis.port, password: redis.password },
    namespace,
    log: { warn: ({ reason }) => void process.stderr.write(`  cache: ${String(reason)}\n`) },
    ...(results === undefined ? {} : { onResult: (_kind, result) => void results.push(result) }),
    ...settings,
  });
}

type Mixed = { share: Record<CacheResult, number>; hitPercent: number; readsPerSecond: number };

/**
 * Zipf reads with 5 % writes, by 50 callers of one process, after each row was read once.
 * @throws Error when a read that began after a commit had returned gives an older value.
 */
async function mixed(redis: RedisServer, writes: 'spread' | 'as-reads'): Promise<Mixed> {
  const results: CacheResult[] = [];
  const cache = open(redis, { namespace: writes, results });
  const versions = new Uint32Array(instances);
  const load = (index: number) => async (): Promise<CachedRow> => {
    // read first, answered later: what is on its way when the row changes is old
    const row = rowOf(String(index), versions[index] ?? 0);
    await delay(loadMs);
    return row;
  };
  const read = async (index: number) => {
    const committed = versions[index] ?? 0;
    const row = await cache.get('instance', String(index), load(index));
    if ((row?.version ?? -1) < committed) {
      throw new Error(`row ${index}: version ${row?.version} was given after version ${committed} was committed`);
    }
  };
  const write = async (index: number) => {
    versions[index] = (versions[index] ?? 0) + 1;
    await cache.invalidate('instance', String(index));
  };
  try {
    await shareOut(instances, read);
    results.length = 0;
    const random = seeded(20_260_101);
    const popular = zipf(instances, { s: 1, random });
    const written = writes === 'spread' ? () => Math.floor(random() * instances) : popular;
    const begun = performance.now();
    await shareOut(calls, async () => {
      if (random() < writeShare) return await write(written());
      await read(popular());
      return undefined;
    });
    const seconds = (performance.now() - begun) / 1_000;
    return judge(results, seconds);
  } finally {
    cache.close();
  }
}

function judge(results: readonly CacheResult[], seconds: number): Mixed {
  const of = (wanted: CacheResult) => (100 * results.filter((result) => result === wanted).length) / results.length;
  const share = { local: of('local'), hit: of('hit'), stale: of('stale'), miss: of('miss'), bypass: of('bypass') };
  const hits = share.local + share.hit + share.stale;
  const hitPercent = (100 * hits) / (hits + share.miss);
  return { share, hitPercent, readsPerSecond: results.length / seconds };
}

/** `work` for 0 to `count` - 1, by 50 callers. */
async function shareOut(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const caller = async () => {
    for (let index = next++; index < count; index = next++) {
      await work(index);
      // A caller of a real process waits for its socket now and then.
      if (index % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
}

type Speed = Record<'localPerSecond' | 'redisPerSecond' | 'localUs' | 'redisUs', number[]>;

/** Reads per second and microseconds per read of what is there: in this process' own copies, and in Redis alone. */
async function speeds(redis: RedisServer, rounds: number, say: (message: string) => void): Promise<Speed> {
  const own = open(redis, { namespace: 'speed' });
  const shared = open(redis, { namespace: 'speed', localTtlMs: 0 });
  // asked only when Redis does not answer in time
  const load = () => delay(loadMs, rowOf('0', 1));
  const read = (cache: Cache, index: number) => cache.get('instance', String(index % speedRows), load);
  /** Within the time of own copies, which begins with it. */
  const timed = async (cache: Cache, options: { callers: number }) => {
    await Promise.all(Array.from({ length: speedRows }, (_, index) => read(cache, index)));
    const begun = performance.now();
    const until = begun + speedMs;
    let done = 0;
    const caller = async () => {
      while (performance.now() < until) {
        for (let times = 0; times < 20; times += 1) await read(cache, done++);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all(Array.from({ length: options.callers }, caller));
    return { done, ms: performance.now() - begun };
  };
  const perSecond = async (cache: Cache) => {
    const { done, ms } = await timed(cache, { callers: inFlight });
    return (done / ms) * 1_000;
  };
  const microseconds = async (cache: Cache) => {
    const { done, ms } = await timed(cache, { callers: 1 });
    return (ms / done) * 1_000;
  };
  try {
    for (let index = 0; index < speedRows; index += 1) {
      await shared.get('instance', String(index), async () => rowOf(String(index), 1));
    }
    for (const cache of [own, shared]) await perSecond(cache);
    return await interleave(
      rounds,
      {
        localPerSecond: () => perSecond(own),
        redisPerSecond: () => perSecond(shared),
        localUs: () => microseconds(own),
        redisUs: () => microseconds(shared),
      },
      (round) => say(`speed, round ${round + 1} of ${rounds}`),
    );
  } finally {
    own.close();
    shared.close();
  }
}

type Found = Record<'spread' | 'same', Mixed> & { speed: Speed; elsewhere: Staleness; rounds: number };

function report({ spread, same, speed, elsewhere, rounds }: Found): BenchReport {
  const hits = (name: string, { share, hitPercent, readsPerSecond }: Mixed) => [
    name,
    ...[hitPercent, share.local, share.hit, share.stale, share.miss, share.bypass].map((percent) => percent.toFixed(2)),
    readsPerSecond,
  ];
  const faster = medianRatio(speed.localPerSecond, speed.redisPerSecond);
  return {
    name: 'cache',
    about: `Zipf (s = 1.0) reads of ${instances.toLocaleString('en-US')} rows by ${inFlight} callers with 5 % writes, ${calls.toLocaleString('en-US')} calls each; real Redis, times and sizes as shipped; a load takes ${loadMs} ms; ${rounds} rounds for the speeds.`,
    tables: [
      {
        title: 'reads by what they found, in percent, after each row was read once',
        columns: ['writes', 'hits of answered', 'own copy', 'Redis', 'stale', 'miss', 'bypass', 'reads/s'],
        rows: [hits('spread over all rows', spread), hits('where the reads are', same)],
      },
      {
        title: `reads of ${speedRows} cached rows, medians`,
        columns: ['from', `reads/s, ${inFlight} callers`, 'µs, one caller'],
        rows: [
          ['own copies', median(speed.localPerSecond), median(speed.localUs)],
          ['Redis', median(speed.redisPerSecond), median(speed.redisUs)],
        ],
      },
      {
        title: 'how long another process gives the old value after a commit here, ms',
        columns: ['writes', 'reads there', 'median', 'worst'],
        rows: [[String(elsewhere.writes), elsewhere.reads, elsewhere.medianMs, elsewhere.worstMs]],
      },
    ],
    goals: [
      {
        what: 'hits, writes spread over all rows',
        measured: spread.hitPercent,
        limit: hitGoal,
        unit: '%',
        is: 'at least',
      },
      atLeast(`own copies against Redis, reads/s of ${inFlight} callers`, faster),
      atLeast('own copies against Redis, time of one caller', medianRatio(speed.redisUs, speed.localUs)),
      {
        what: 'staleness in another process, worst',
        measured: elsewhere.worstMs,
        limit: localTtlMs,
        unit: 'ms',
        is: 'at most',
      },
    ],
    notes: [
      'No read that began after a commit had returned was given an older value in the same process: one would have ended this bench.',
      'With writes where the reads are, one read in twenty follows a write: no cache that only invalidates gets beyond 95 %.',
      'Bypass: Redis did not answer within 200 ms, as happens on a machine that has too much other work.',
      'The run is shorter than the time a copy is fresh: rows that are read less than once in two minutes miss besides.',
    ],
  };
}

function atLeast(what: string, measured: number): Goal {
  return { what, measured, limit: speedGoal, unit: 'x', is: 'at least' };
}
