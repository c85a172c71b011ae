/** The kubelet's numbers: the first restart is immediate, then 10 s, doubling up to 5 minutes. */
const firstDelayMs = 10_000;
const maxDelayMs = 300_000;
/** A container that ran this long since its last start is taken for healthy again. */
const resetAfterMs = 2 * maxDelayMs;

/** Waiting times between the starts of one container, or between attempts to get its image. */
export type BackOff = {
  /** How long to wait from now before the next start. */
  next(nowMs: number): number;
};

export function openBackOff(firstMs = firstDelayMs): BackOff {
  let count = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    next(nowMs) {
      if (nowMs - lastMs > resetAfterMs) count = 0;
      const delayMs = count === 0 ? 0 : Math.min(maxDelayMs, firstMs * 2 ** (count - 1));
      count += 1;
      lastMs = nowMs + delayMs;
      return delayMs;
    },
  };
}
