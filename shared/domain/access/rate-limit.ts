import { actorOf, type Principal } from './principal.ts';

/** What is counted apart. */
export type LimitClass = 'read' | 'write' | 'export';

/** `count` requests in any `windowMs`. */
export type Limit = { count: number; windowMs: number };

export const defaultLimits: Readonly<Record<LimitClass, Limit>> = {
  read: { count: 100, windowMs: 60_000 },
  write: { count: 60, windowMs: 60_000 },
  export: { count: 10, windowMs: 60_000 },
};

/** `remaining`: how many more now; `retryAfterMs`: 0 when allowed, else when the oldest counted request is a window old. */
export type Verdict = { isAllowed: boolean; remaining: number; retryAfterMs: number };

/**
 * Whose requests are counted together. Reads are counted for each who reads; what changes something is counted for the
 * customer, however many keys he has made.
 */
export function subjectOf(principal: Principal, limitClass: LimitClass): string {
  if (limitClass === 'read' || principal.customerId === null) return actorOf(principal);
  return `customer:${principal.customerId}`;
}

/** A sliding window over at most `maxSubjects` subjects in this process' memory; who was seen least lately makes room. */
export type LocalWindows = { take(subject: string, limit: Limit): Verdict };

export function openLocalWindows(options: { maxSubjects: number; nowMs?: () => number }): LocalWindows {
  const { maxSubjects, nowMs = () => performance.now() } = options;
  // a Map gives its keys in the order in which they were set
  const windows = new Map<string, number[]>();
  return {
    take(subject, { count, windowMs }) {
      const now = nowMs();
      const times = (windows.get(subject) ?? []).filter((time) => time > now - windowMs);
      const isAllowed = times.length < count;
      const [oldest = now] = times;
      if (isAllowed) times.push(now);
      windows.delete(subject);
      windows.set(subject, times);
      const [first] = windows.keys();
      if (windows.size > maxSubjects && first !== undefined) windows.delete(first);
      const retryAfterMs = isAllowed ? 0 : Math.max(1, Math.ceil(oldest + windowMs - now));
      return { isAllowed, remaining: isAllowed ? count - times.length : 0, retryAfterMs };
    },
  };
}
