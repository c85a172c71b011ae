const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Waits before the second, third … try: those of the Standard Webhooks specification, some three days in all. */
export const retryDelaysMs: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  19 * hour,
  21 * hour,
];

/** So that what failed together is not tried together. */
const jitter = 0.1;

/** A receiver may ask for a longer wait, not for any. */
const retryAfterAtMostMs = 6 * hour;

/** What came of a try: the answer's status, or why there was none. */
export type AttemptResult = {
  /** null: no answer. */
  status: number | null;
  /** In words, without addresses; null when it was taken. */
  error: string | null;
  /** What the receiver asked for. */
  retryAfterMs?: number;
};

export type AttemptVerdict = { is: 'taken' } | { is: 'gone' } | { is: 'again'; delayMs: number } | { is: 'given-up' };

/**
 * What is to be done after a try. `attempt` counts from 1; `random` is from 0 to 1. Every answer but 2xx and 410 is tried again:
 * a receiver's mistake of today is mended tomorrow.
 */
export function judgeAttempt(
  result: AttemptResult,
  { attempt, random }: { attempt: number; random: number },
): AttemptVerdict {
  const { status, retryAfterMs = 0 } = result;
  if (status !== null && status >= 200 && status < 300) return { is: 'taken' };
  if (status === 410) return { is: 'gone' };
  const delay = retryDelaysMs[attempt - 1];
  if (delay === undefined) return { is: 'given-up' };
  const jittered = delay * (1 + jitter * (2 * random - 1));
  return { is: 'again', delayMs: Math.round(Math.max(jittered, Math.min(retryAfterMs, retryAfterAtMostMs))) };
}

/**
 * An endpoint is disabled when a delivery was tried for three days in vain and nothing was taken meanwhile. `begunAt` is the
 * delivery's first try.
 */
export function hasFailedForLong({ failingSince, begunAt }: { failingSince: Date | null; begunAt: Date }): boolean {
  return failingSince !== null && failingSince <= begunAt;
}

/** Seconds, or a date (RFC 9110). undefined: it says nothing usable. */
export function retryAfterOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * second;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
