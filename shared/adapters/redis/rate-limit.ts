import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Limit, Verdict } from '#shared/domain/access/rate-limit.ts';
import {
  openRedisConnection,
  type RedisAddress,
  type RedisConnection,
  type RedisLog,
  type RedisScript,
} from './connection.ts';

export type SharedWindows = {
  /** One round trip. Undefined when Redis is not there or does not answer in time. Never throws. */
  take(subject: string, limit: Limit): Promise<Verdict | undefined>;
  close(): void;
};

/**
 * A set of the requests of the last window, by Redis' own clock: clocks of pods differ. A denied request is not added, so
 * one who keeps asking is let in as soon as his oldest counted request is a window old. The time is written out in full:
 * Lua's own form of a number keeps 14 digits only.
 */
const script = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = ARGV[2] * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
if count < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, ARGV[1] - count - 1, 0}
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not oldest[2] then return {0, 0, tonumber(ARGV[2])} end
return {0, 0, math.max(1, math.ceil((oldest[2] + window - now) / 1000))}`;

type WithTake = Redis & {
  takeFromWindow(key: string, count: number, windowMs: number, member: string): Promise<[number, number, number]>;
};

/** What a connection must know that is given to windows. */
export const windowScripts = {
  takeFromWindow: { numberOfKeys: 1, lua: script },
} as const satisfies Record<string, RedisScript>;

/** Sliding windows that all processes share. Opens nothing before the first call. */
export function openSharedWindows(options: {
  address: RedisAddress;
  /** First part of every key: one Redis may serve several platforms. */
  namespace: string;
  log: RedisLog;
  /** How long Redis is waited for, for tests. */
  patienceMs?: number | undefined;
  /** One that is there already, and knows `windowScripts`; what its owner asks at the same time then goes with what is asked here. */
  redis?: RedisConnection | undefined;
}): SharedWindows {
  const { address, namespace, log, patienceMs } = options;
  const redis = options.redis ?? openRedisConnection(address, { log, patienceMs, scripts: windowScripts });
  // members must differ, or two requests of one moment would be counted once
  const process = randomBytes(9).toString('base64url');
  let last = 0;
  return {
    async take(subject, { count, windowMs }) {
      const key = `${namespace}:rate:${subject}`;
      last += 1;
      const member = `${process}:${last}`;
      const taken = await redis.attempt((client) => (client as WithTake).takeFromWindow(key, count, windowMs, member));
      if (taken === undefined) return undefined;
      const [allowed, remaining, retryAfterMs] = taken.answer;
      return { isAllowed: allowed === 1, remaining, retryAfterMs };
    },
    close() {
      if (options.redis === undefined) redis.close();
    },
  };
}
