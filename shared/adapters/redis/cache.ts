import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import {
  type Cache,
  type CacheKind,
  type CacheRead,
  type CacheResult,
  cacheTtlMs,
  localTtlMs as defaultLocalTtlMs,
} from '#shared/domain/cache/cache.ts';
import { openRedisConnection, type RedisAddress, type RedisConnection, type RedisLog } from './connection.ts';
import { openLocalCopies, type Place } from './local-copies.ts';

export type CacheOptions = {
  address: RedisAddress;
  /** First part of every key: one Redis may serve several platforms. */
  namespace: string;
  log: RedisLog;
  /** For metrics. */
  onResult?: (kind: CacheKind, result: CacheResult) => void;
  /** Instead of the kinds' own times, for tests. */
  ttlMs?: number;
  staleMs?: number;
  /** How long this process keeps copies of its own; 0 keeps none. */
  localTtlMs?: number;
};

export type OpenedCache = Cache & {
  /** Does Redis answer? */
  isReachable(): Promise<boolean>;
  close(): void;
};

/** Copies a process keeps in its own memory: some megabytes. The 2,000 of 10,000 that are read most (Zipf) get 5 of 6 reads. */
const maxLocalCopies = 2_000;
/** A copy is given for so long after its time while somebody renews it. */
const defaultStaleMs = 60_000;
/** Longer than any load; a holder that died keeps others waiting for `lockWaitMs` only. */
const lockMs = 5_000;
const lockWaitMs = 400;
const lockPollMs = 20;
/** How long an invalidation is remembered against loads that began before it. */
const markMs = 600_000;

/**
 * Keys of one entry. A copy carries the marks it was loaded under: the kind's epoch and the entry's own. `invalidate` sets a new
 * random mark, so a copy under another one is no copy, also when it is written late. Marks are random, not counted: a mark that Redis
 * dropped for want of memory must not come back.
 */
type Entry = { id: string; kind: CacheKind; epoch: string; mark: string; copy: string };

type Seen = { epoch: string; mark: string; found: { text: string; freshForMs: number } | undefined };

/** Writes the copy unless one of the marks has changed since they were read. The epoch is made here when there is none. */
const storeScript = `
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  if ARGV[1] ~= '' then return 0 end
  epoch = ARGV[3]
  redis.call('SET', KEYS[1], epoch)
elseif epoch ~= ARGV[1] then return 0 end
local mark = redis.call('GET', KEYS[2]) or ''
if mark ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[3], cjson.encode({epoch, mark}) .. '\\n' .. ARGV[4], 'PX', ARGV[5])
return 1`;

/** Gives a lock back only if it is still the holder's. */
const unlockScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/**
 * Cache-aside on Redis, with the copies of the last second in the process' own memory. Opens nothing before the first call.
 *
 * A change that this process tells of takes its own copies away at once, before anything is sent to Redis. Other processes
 * are not told: they find the new mark when their own copy's time is over.
 */
export function openCache(options: CacheOptions): OpenedCache {
  const { namespace, staleMs = defaultStaleMs, localTtlMs = defaultLocalTtlMs } = options;
  const local = openLocalCopies({ maxEntries: maxLocalCopies, ttlMs: localTtlMs });
  /** Invalidations that did not reach Redis; made up for before anything is read from it again. */
  const missed = new Set<string>();
  const redis = openRedisConnection(options.address, {
    log: options.log,
    async onConnect(fresh) {
      for (const key of missed) {
        await setMark(fresh, key);
        missed.delete(key);
      }
    },
  });
  const flights = new Map<string, Promise<unknown>>();
  const renewals = new Set<Promise<unknown>>();

  const entryOf = (kind: CacheKind, id: string): Entry => {
    // The braces keep an entry's keys in one slot of a Redis cluster, as the script needs them.
    const prefix = `{${namespace}:${kind}}`;
    return { id, kind, epoch: `${prefix}:epoch`, mark: `${prefix}:mark:${id}`, copy: `${prefix}:copy:${id}` };
  };

  function once<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = flights.get(key) as Promise<T> | undefined;
    if (running !== undefined) return running;
    const flight = work().finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    flights.set(key, flight);
    return flight;
  }

  async function fill<T>(entry: Entry, { seen, place, load }: Filling<T>): Promise<T | undefined> {
    const lock = `${entry.copy}:lock:${seen.epoch}:${seen.mark}`;
    const token = newMark();
    const taken = await redis.attempt((client) => client.set(lock, token, 'PX', lockMs, 'NX'));
    if (taken?.answer === null) {
      const other = await waitForCopy<T>(redis, entry, staleMs);
      if (other !== undefined) return other.value;
    }
    try {
      const value = await load();
      const freshForMs = withJitter(options.ttlMs ?? cacheTtlMs[entry.kind]);
      const text = value === undefined || value === null ? undefined : (JSON.stringify(value) as string | undefined);
      if (text !== undefined) {
        await store(redis, entry, { seen, text, ttlMs: freshForMs + staleMs });
        local.fill(place, text, { freshForMs });
      }
      return value;
    } finally {
      if (taken?.answer === 'OK') await redis.attempt((client) => client.eval(unlockScript, 1, lock, token));
    }
  }

  /** Renews a stale copy unless somebody else is at it, here or in another pod. */
  function renewStale<T>(entry: Entry, filling: Filling<T>): void {
    const key = `${flightKey(entry, filling.seen)}:renewal`;
    if (flights.has(key)) return;
    const renewal = once(key, async () => {
      const lock = `${entry.copy}:renewal`;
      const taken = await redis.attempt((client) => client.set(lock, '1', 'PX', lockMs, 'NX'));
      return taken?.answer === 'OK' ? await fill(entry, filling) : undefined;
    }).catch((error: unknown) => tellOfFailure(entry, error));
    renewals.add(renewal);
    void renewal.finally(() => renewals.delete(renewal));
  }

  function tellOfFailure({ kind, id }: Pick<Entry, 'kind' | 'id'>, error: unknown): void {
    const reason = error instanceof Error ? error.name : 'unknown';
    options.log.warn({ kind, id, reason }, 'A cached value could not be renewed');
  }

  async function mark(key: string): Promise<void> {
    if (!(await redis.attempt((client) => setMark(client, key)))) missed.add(key);
  }

  /** Callers that come later must not join a load that began before the change. */
  function forgetFlights(prefix: string): void {
    for (const key of flights.keys()) if (key.startsWith(prefix)) flights.delete(key);
  }

  async function read<T>(kind: CacheKind, id: string, load: () => Promise<T | undefined>): Promise<CacheRead<T>> {
    const key = `${kind}:${id}`;
    const own = local.find(key);
    const tell = (result: CacheResult) => (options.onResult?.(kind, result), result);
    if (own !== undefined) return { value: own.value as T, result: tell('local') };
    const place = local.reserve(key);
    const entry = entryOf(kind, id);
    const seen = await look(redis, entry, staleMs);
    if (seen === undefined) {
      const result = tell('bypass');
      return { value: await once(`${entry.copy}:`, load), result };
    }
    const { found } = seen;
    const isFresh = found !== undefined && found.freshForMs > 0;
    const result = tell(found === undefined ? 'miss' : isFresh ? 'hit' : 'stale');
    if (found === undefined) {
      const value = await once(flightKey(entry, seen), () => fill(entry, { seen, place, load }));
      return { value, result };
    }
    if (isFresh) local.fill(place, found.text, found);
    else renewStale(entry, { seen, place, load });
    return { value: JSON.parse(found.text) as T, result };
  }

  async function invalidate(kind: CacheKind, id: string): Promise<void> {
    local.forget(`${kind}:${id}`);
    const entry = entryOf(kind, id);
    forgetFlights(`${entry.copy}:`);
    await mark(entry.mark);
  }

  return {
    get: async (kind, id, load) => (await read(kind, id, load)).value,
    read,
    invalidate,
    async invalidateKind(kind) {
      local.forgetAll(`${kind}:`);
      const entry = entryOf(kind, '');
      forgetFlights(entry.copy);
      await mark(entry.epoch);
    },
    async settle(timeoutMs) {
      const limit = new AbortController();
      const timeout = pause(timeoutMs, undefined, { signal: limit.signal }).catch(() => undefined);
      await Promise.race([Promise.allSettled(renewals), timeout]);
      limit.abort();
    },
    isReachable: async () => (await redis.attempt((client) => client.ping())) !== undefined,
    close: () => redis.close(),
  };
}

/** What a value is loaded with: the marks it is kept under, and its place in this process' memory. */
type Filling<T> = { seen: Seen; place: Place; load: () => Promise<T | undefined> };

function flightKey(entry: Entry, seen: Seen): string {
  return `${entry.copy}:${seen.epoch}:${seen.mark}`;
}

/** Undefined when Redis is not there. What is older than its time is told from what Redis still keeps it for: by its clock. */
async function look(redis: RedisConnection, entry: Entry, staleMs: number): Promise<Seen | undefined> {
  const seen = await redis.attempt((client) =>
    Promise.all([client.get(entry.epoch), client.get(entry.mark), client.get(entry.copy), client.pttl(entry.copy)]),
  );
  if (seen === undefined) return undefined;
  const [epoch, mark, copy, leftMs] = seen.answer;
  const marks = { epoch: epoch ?? '', mark: mark ?? '' };
  const text = copy === null ? undefined : readCopy(copy, marks);
  return { ...marks, found: text === undefined ? undefined : { text, freshForMs: leftMs - staleMs } };
}

function readCopy(copy: string, { epoch, mark }: { epoch: string; mark: string }): string | undefined {
  const end = copy.indexOf('\n');
  return copy.slice(0, end) === JSON.stringify([epoch, mark]) ? copy.slice(end + 1) : undefined;
}

async function store(
  redis: RedisConnection,
  entry: Entry,
  { seen, text, ttlMs }: { seen: Seen; text: string; ttlMs: number },
): Promise<void> {
  const keys = [entry.epoch, entry.mark, entry.copy];
  const values = [seen.epoch, seen.mark, newMark(), text, String(Math.round(ttlMs))];
  await redis.attempt((client) => client.eval(storeScript, keys.length, ...keys, ...values));
}

/** Somebody else loads the same: a copy of theirs, or undefined when none came in time. */
async function waitForCopy<T>(
  redis: RedisConnection,
  entry: Entry,
  staleMs: number,
): Promise<{ value: T } | undefined> {
  for (let waitedMs = 0; waitedMs < lockWaitMs; waitedMs += lockPollMs) {
    await pause(lockPollMs);
    const seen = await look(redis, entry, staleMs);
    if (seen === undefined) return undefined;
    if (seen.found !== undefined) return { value: JSON.parse(seen.found.text) as T };
  }
  return undefined;
}

async function setMark(client: Redis, key: string): Promise<void> {
  // An epoch stays; an entry's mark is needed only as long as an older load may run.
  if (key.endsWith(':epoch')) await client.set(key, newMark());
  else await client.set(key, newMark(), 'PX', markMs);
}

function newMark(): string {
  return randomBytes(9).toString('base64url');
}

/** A tenth more or less, so that what was loaded together does not end together. */
function withJitter(ms: number): number {
  return ms * (0.9 + Math.random() * 0.2);
}
