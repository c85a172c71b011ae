import { type OpenedCache, openCache } from '#shared/adapters/redis/cache.ts';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { cache } from './rows.ts';

/** First part of every key of the cache: all functions of a platform have the same copies. */
const namespace = 'fleet';

/** The platform's cache as the settings say it; without a host of Redis every read goes to its source. */
export function openPlatformCache(
  { redisHost: host, redisPort: port, redisPassword: password }: Config<typeof cache>,
  { log, metrics }: { log: Log; metrics: Pick<Metrics, 'countCacheRead'> },
): OpenedCache {
  if (host === undefined) return noCache;
  const address = { host, port, ...(password === undefined ? {} : { password }) };
  return openCache({ address, namespace, log, onResult: metrics.countCacheRead });
}

const noCache: OpenedCache = {
  get: async (_kind, _id, load) => await load(),
  read: async (_kind, _id, load) => ({ value: await load(), result: 'bypass' }),
  invalidate: async () => undefined,
  invalidateKind: async () => undefined,
  settle: async () => undefined,
  isReachable: async () => false,
  redis: undefined,
  close: () => undefined,
};
