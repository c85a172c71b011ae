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
  limit(principal: Principal, limitClass: Exclude<LimitClass, 'attempt'>): Promise<Taken>;
  /** Counts one request whose credentials were refused, by the address it came from. Never throws. */
  limitAttempts(address: string): Promise<Taken>;
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

  async function take(who: string, limitClass: LimitClass): Promise<Taken> {
    const limit = limits[limitClass];
    const subject = `${limitClass}:${who}`;
    const together = await shared?.take(subject, limit);
    const verdict = together ?? local.take(subject, limit);
    return { ...verdict, limit: limit.count, windowMs: limit.windowMs, isLocal: together === undefined };
  }
  return {
    limit: (principal, limitClass) => take(subjectOf(principal, limitClass), limitClass),
    limitAttempts: (address) => take(address, 'attempt'),
  };
}
