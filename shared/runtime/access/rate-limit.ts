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
  /**
   * Will the next request be let in, as far as can be guessed from what this process was told of the last ones? It counts
   * nothing: what is begun on the strength of it is given to nobody before `limit` has said so.
   */
  hasRoom(principal: Principal, limitClass: LimitClass): boolean;
};

/** About a megabyte at most with the default limits. */
const maxLocalSubjects = 1_000;
/** Of a window: others may have taken many turns since this process was told. */
const shareOfRoom = 0.5;
/** What was told longer ago says nothing. */
const toldForMs = 1_000;

/**
 * Counts in Redis, and without it in this process: then every process allows the whole limit, which is better than to
 * refuse everybody, or to let everybody do anything.
 */
export function openRateLimiter(options: {
  shared: Pick<SharedWindows, 'take'> | undefined;
  limits?: Readonly<Record<LimitClass, Limit>>;
  nowMs?: () => number;
}): RateLimiter {
  const { shared, limits = defaultLimits, nowMs = () => performance.now() } = options;
  const local = openLocalWindows({ maxSubjects: maxLocalSubjects, nowMs });
  /** Until when each subject is taken to have room. The one that was told longest ago makes way. */
  const roomUntilMs = new Map<string, number>();

  function note(subject: string, { isAllowed, remaining }: Verdict, { count }: Limit): void {
    roomUntilMs.delete(subject);
    if (!isAllowed || remaining < count * shareOfRoom) return;
    roomUntilMs.set(subject, nowMs() + toldForMs);
    if (roomUntilMs.size <= maxLocalSubjects) return;
    const [oldest] = roomUntilMs.keys();
    if (oldest !== undefined) roomUntilMs.delete(oldest);
  }

  return {
    async limit(principal, limitClass) {
      const limit = limits[limitClass];
      const subject = subjectIn(limitClass, principal);
      const together = await shared?.take(subject, limit);
      const verdict = together ?? local.take(subject, limit);
      note(subject, verdict, limit);
      return { ...verdict, limit: limit.count, windowMs: limit.windowMs, isLocal: together === undefined };
    },
    hasRoom: (principal, limitClass) => (roomUntilMs.get(subjectIn(limitClass, principal)) ?? 0) > nowMs(),
  };
}

function subjectIn(limitClass: LimitClass, principal: Principal): string {
  return `${limitClass}:${subjectOf(principal, limitClass)}`;
}
