import { setTimeout as pause } from 'node:timers/promises';
import {
  type Cache,
  type CacheKind,
  type CacheRead,
  type CacheResult,
  cacheTtlMs,
  localTtlMs as defaultLocalTtlMs,
} from '#shared/domain/cache/cache.ts';
import {
  type Entry,
  entryOf,
  entryScripts,
  look,
  type Marks,
  type Seen,
  sentAtOnce,
  setMark,
  store,
} from './cache-entry.ts';
import { openRedisConnection, type RedisAddress, type RedisConnection, type RedisLog } from './connection.ts';
import { openLocalCopies, type Place } from './local-copies.ts';
import { windowScripts } from './rate-limit.ts';

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
  /** How long Redis is waited for, for tests. */
  patienceMs?: number | undefined;
};

export type OpenedCache = Cache & {
  /** Does Redis answer? */
  isReachable(): Promise<boolean>;
  /** For others who need Redis: what they ask at the same time goes with what is asked here. Closed by `close`. */
  redis: RedisConnection | undefined;
  close(): void;
};

/** Copies a process keeps in its own memory: some megabytes. The 2,000 of 10,000 that are read most (Zipf) get 5 of 6 reads. */
const maxLocalCopies = 2_000;
/** A copy is given for so long after its time while somebody renews it. */
const defaultStaleMs = 60_000;
const lockWaitMs = 400;
const lockPollMs = 20;
/** Longer than any load. */
const renewalMs = 5_000;

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
    patienceMs: options.patienceMs,
    sentAtOnce: [sentAtOnce],
    scripts: { ...entryScripts, ...windowScripts },
    async onConnect(fresh) {
      // together: however many they are, they have the time of one
      const made = [...missed].map(async (key) => {
        await setMark(fresh, key);
        missed.delete(key);
      });
      await Promise.all(made);
    },
  });
  const flights = new Map<string, Promise<Loaded<unknown>>>();
  const renewals = new Map<string, Promise<unknown>>();

  /** Who asks while it runs, or until Redis has what came of it, gets the same. */
  async function once<T>(key: string, work: () => Promise<Loaded<T>>): Promise<T | undefined> {
    const running = flights.get(key) as Promise<Loaded<T>> | undefined;
    if (running !== undefined) return (await running).value;
    const flight = work();
    flights.set(key, flight);
    const end = () => {
      if (flights.get(key) === flight) flights.delete(key);
    };
    try {
      const { value, stored } = await flight;
      if (stored === undefined) end();
      else void stored.then(end);
      return value;
    } catch (error) {
      end();
      throw error;
    }
  }

  async function fill<T>(entry: Entry, filling: Filling<T>): Promise<Loaded<T>> {
    if (filling.seen.lock === undefined) {
      const other = await waitForCopy<T>(redis, entry, staleMs);
      if (other !== undefined) return other;
    }
    return await loadInto(entry, filling);
  }

  /** The copy is sent, and the lock given back, before anybody has the value; nobody waits for Redis to have done it. */
  async function loadInto<T>(entry: Entry, { seen, place, load }: Filling<T>): Promise<Loaded<T>> {
    const freshForMs = withJitter(options.ttlMs ?? cacheTtlMs[entry.kind]);
    const ttlMs = freshForMs + staleMs;
    try {
      const value = await load();
      const text = value === undefined || value === null ? undefined : (JSON.stringify(value) as string | undefined);
      const stored = store(redis, entry, { seen, text, ttlMs });
      if (text === undefined) return { value };
      local.fill(place, text, { freshForMs });
      return { value, stored };
    } catch (error) {
      void store(redis, entry, { seen, text: undefined, ttlMs });
      throw error;
    }
  }

  /** Renews a stale copy unless somebody else is at it, here or in another pod. */
  function renewStale<T>(entry: Entry, filling: Filling<T>): void {
    const key = flightKey(entry, filling.seen);
    if (renewals.has(key)) return;
    const renew = async () => {
      const lock = `${entry.copy}:renewal`;
      const taken = await redis.attempt((client) => client.set(lock, '1', 'PX', renewalMs, 'NX'));
      if (taken?.answer === 'OK') await (await loadInto(entry, filling)).stored;
    };
    const renewal = renew()
      .catch((error: unknown) => tellOfFailure(entry, error))
      .finally(() => renewals.delete(key));
    renewals.set(key, renewal);
  }

  function tellOfFailure({ kind, id }: Pick<Entry, 'kind' | 'id'>, error: unknown): void {
    const reason = error instanceof Error ? error.name : 'unknown';
    options.log.warn({ kind, id, reason }, 'A cached value could not be renewed');
  }

  async function mark(key: string): Promise<void> {
    if (!(await redis.attempt((client) => setMark(client, key), { mustBeTaken: true }))) missed.add(key);
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
    const entry = entryOf(namespace, kind, id);
    const seen = await look(redis, entry, { staleMs, takesLock: true });
    if (seen === undefined) {
      const result = tell('bypass');
      return { value: await once(`${entry.copy}:`, async () => ({ value: await load() })), result };
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
    const entry = entryOf(namespace, kind, id);
    forgetFlights(`${entry.copy}:`);
    await mark(entry.mark);
  }

  return {
    get: async (kind, id, load) => (await read(kind, id, load)).value,
    read,
    invalidate,
    async invalidateKind(kind) {
      local.forgetAll(`${kind}:`);
      const entry = entryOf(namespace, kind, '');
      forgetFlights(entry.copy);
      await mark(entry.epoch);
    },
    async settle(timeoutMs) {
      if (renewals.size === 0) return;
      const limit = new AbortController();
      const timeout = pause(timeoutMs, undefined, { signal: limit.signal }).catch(() => undefined);
      await Promise.race([Promise.allSettled(renewals.values()), timeout]);
      limit.abort();
    },
    isReachable: async () => (await redis.attempt((client) => client.ping())) !== undefined,
    redis,
    close: () => redis.close(),
  };
}

/** What a value is loaded with: the marks it is kept under, and its place in this process' memory. */
type Filling<T> = { seen: Seen; place: Place; load: () => Promise<T | undefined> };

/** `stored` resolves when Redis has its copy, or will not have it; undefined when there is none to come. */
type Loaded<T> = { value: T | undefined; stored?: Promise<void> };

function flightKey(entry: Entry, { epoch, mark }: Marks): string {
  return `${entry.copy}:${epoch}:${mark}`;
}

/** Somebody else loads the same: a copy of theirs, or undefined when none came in time. */
async function waitForCopy<T>(redis: RedisConnection, entry: Entry, staleMs: number): Promise<Loaded<T> | undefined> {
  for (let waitedMs = 0; waitedMs < lockWaitMs; waitedMs += lockPollMs) {
    await pause(lockPollMs);
    const seen = await look(redis, entry, { staleMs, takesLock: false });
    if (seen === undefined) return undefined;
    if (seen.found !== undefined) return { value: JSON.parse(seen.found.text) as T };
  }
  return undefined;
}

/** A tenth more or less, so that what was loaded together does not end together. */
function withJitter(ms: number): number {
  return ms * (0.9 + Math.random() * 0.2);
}
