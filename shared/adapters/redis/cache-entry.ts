import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CacheKind } from '#shared/domain/cache/cache.ts';
import type { RedisConnection, RedisScript } from './connection.ts';

/**
 * Keys of one entry. A copy carries the marks it was loaded under: the kind's epoch and the entry's own. `invalidate` sets a new
 * random mark, so a copy under another one is no copy, also when it is written late. Marks are random, not counted: a mark that Redis
 * dropped for want of memory must not come back.
 */
export type Entry = { id: string; kind: CacheKind; epoch: string; mark: string; copy: string; lock: string };

export type Marks = { epoch: string; mark: string };

/** What Redis has of an entry. `lock`: the token of whoever looked and is to load it; undefined when somebody else does. */
export type Seen = Marks & { found: { text: string; freshForMs: number } | undefined; lock: string | undefined };

/** How long an invalidation is remembered against loads that began before it. */
const markMs = 600_000;
/** Longer than any load; a holder that died keeps others waiting for a moment only. */
const lockMs = 5_000;

/**
 * The copy under the marks of now, and its time left; without one the lock is the caller's unless somebody holds it under these very
 * marks: who loads what was invalidated since holds nobody up. Without a token no lock is taken.
 */
const lookScript = `
local now = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
local epoch, mark = now[1] or '', now[2] or ''
if now[3] then
  local head = cjson.encode({epoch, mark}) .. '\\n'
  if string.sub(now[3], 1, #head) == head then
    return {epoch, mark, string.sub(now[3], #head + 1), redis.call('PTTL', KEYS[3])}
  end
end
if ARGV[1] == '' then return {epoch, mark} end
local marks = cjson.encode({epoch, mark})
if now[4] and string.sub(now[4], 1, #marks) == marks then return {epoch, mark} end
redis.call('SET', KEYS[4], marks .. ARGV[1], 'PX', ARGV[2])
return {epoch, mark, false, 0, 1}`;

/**
 * Gives the lock back if it is still the caller's, and writes the copy unless one of the marks has changed since they were read.
 * The epoch is made here when there is none.
 */
const storeScript = `
local now = redis.call('MGET', KEYS[1], KEYS[2], KEYS[4])
if now[3] and now[3] == cjson.encode({ARGV[1], ARGV[2]}) .. ARGV[4] then redis.call('DEL', KEYS[4]) end
if ARGV[5] == '' then return 0 end
local epoch = now[1]
if not epoch then
  if ARGV[1] ~= '' then return 0 end
  epoch = ARGV[3]
  redis.call('SET', KEYS[1], epoch)
elseif epoch ~= ARGV[1] then return 0 end
if (now[2] or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[3], cjson.encode({epoch, ARGV[2]}) .. '\\n' .. ARGV[5], 'PX', ARGV[6])
return 1`;

type Looked = [epoch: string, mark: string, text?: string | null, leftMs?: number, isLocked?: number];
type Keys = [epoch: string, mark: string, copy: string, lock: string];

type WithScripts = Redis & {
  lookForCopy(...keysAndValues: [...Keys, token: string, lockMs: number]): Promise<Looked>;
  storeCopy(
    ...keysAndValues: [
      ...Keys,
      epoch: string,
      mark: string,
      newEpoch: string,
      lock: string,
      text: string,
      ttlMs: number,
    ]
  ): Promise<number>;
};

/** What the connection of a cache must know. */
export const entryScripts = {
  lookForCopy: { numberOfKeys: 4, lua: lookScript },
  storeCopy: { numberOfKeys: 4, lua: storeScript },
} as const satisfies Record<string, RedisScript>;

/** The command that must have left this process before anything else happens: whoever asked for it does not wait. */
export const sentAtOnce: keyof typeof entryScripts = 'storeCopy';

export function entryOf(namespace: string, kind: CacheKind, id: string): Entry {
  // The braces keep an entry's keys in one slot of a Redis cluster, as the scripts need them.
  const prefix = `{${namespace}:${kind}}`;
  const copy = `${prefix}:copy:${id}`;
  return { id, kind, epoch: `${prefix}:epoch`, mark: `${prefix}:mark:${id}`, copy, lock: `${copy}:lock` };
}

/**
 * One round trip. Undefined when Redis is not there. What is older than its time is told from what Redis still keeps it for: by its
 * clock.
 */
export async function look(
  redis: RedisConnection,
  entry: Entry,
  { staleMs, takesLock }: { staleMs: number; takesLock: boolean },
): Promise<Seen | undefined> {
  const token = takesLock ? newMark() : '';
  const looked = await redis.attempt((client) => (client as WithScripts).lookForCopy(...keysOf(entry), token, lockMs));
  if (looked === undefined) return undefined;
  const [epoch, mark, text, leftMs, isLocked] = looked.answer;
  const found = typeof text === 'string' ? { text, freshForMs: (leftMs ?? 0) - staleMs } : undefined;
  return { epoch, mark, found, lock: isLocked === 1 ? token : undefined };
}

/**
 * Writes the copy, if there is one, and gives the lock back. It is sent when this returns; the promise is for Redis having done it.
 * Never rejects.
 */
export async function store(
  redis: RedisConnection,
  entry: Entry,
  { seen, text, ttlMs }: { seen: Seen; text: string | undefined; ttlMs: number },
): Promise<void> {
  if (text === undefined && seen.lock === undefined) return;
  const { epoch, mark, lock = '' } = seen;
  await redis.attempt((client) =>
    (client as WithScripts).storeCopy(
      ...keysOf(entry),
      ...([epoch, mark, newMark(), lock, text ?? '', Math.round(ttlMs)] as const),
    ),
  );
}

function keysOf({ epoch, mark, copy, lock }: Entry): Keys {
  return [epoch, mark, copy, lock];
}

export async function setMark(client: Redis, key: string): Promise<void> {
  // An epoch stays; an entry's mark is needed only as long as an older load may run.
  if (key.endsWith(':epoch')) await client.set(key, newMark());
  else await client.set(key, newMark(), 'PX', markMs);
}

/** Random bits of which Node keeps a stock: to draw for each mark would take ten times as long. */
function newMark(): string {
  return randomUUID();
}
