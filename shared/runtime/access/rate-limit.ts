import type { SharedWindows } from '#shared/adapters/redis/rate-limit.ts';
import type { Principal } from '#shared/domain/access/principal.ts';
import {
  defaultLimits,
  type Limit,
  type LimitClass,
  openLocalWindows,
  subjectOf,
  type Verdict,
} from '#shared/domain/access/rate-limit.ts';

/** `limit`: requests per window. `isLocal`: counted by this process alone, because Redis is not there. */
export type Taken = Verdict & { limit: number; windowMs: number; isLocal: boolean };

export type RateLimiter = {
  /** Counts one request of the principal, unless it is denied. Never throws. */
  limit(principal: Principal, limitClass: LimitClass): Promise<Taken>;
};

/** About a megabyte at most with the default limits. */
const maxLocalSubjects = 1_000;

/**
 * Counts in Redis, and without it in this process: then every process allows the whole limit, which is better than to
 * refuse everybody, or to let everybody do anything.
 */
export function openRateLimiter(options: {
  shared: Pick<SharedWindows, 'take'> | undefined;
  limits?: Readonly<Record<LimitClass, Limit>>;
  nowMs?: () => number;
}): RateLimiter {
  const { shared, limits = defaultLimits, nowMs } = options;
  const local = openLocalWindows({ maxSubjects: maxLocalSubjects, ...(nowMs === undefined ? {} : { nowMs }) });

  return {
    async limit(principal, limitClass) {
      const limit = limits[limitClass];
      const subject = `${limitClass}:${subjectOf(principal, limitClass)}`;
      const together = await shared?.take(subject, limit);
      const verdict = together ?? local.take(subject, limit);
      return { ...verdict, limit: limit.count, windowMs: limit.windowMs, isLocal: together === undefined };
    },
  };
}
