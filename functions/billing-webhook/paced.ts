import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs `work` at once, but no two runs begin within `everyMs`: whoever asks meanwhile gets the run that begins then. Many
 * notifications at a time are so published by few transactions.
 */
export function paced(
  work: () => Promise<void>,
  everyMs: number,
  clock: () => number = () => performance.now(),
): () => Promise<void> {
  let lastMs = Number.NEGATIVE_INFINITY;
  let next: Promise<void> | undefined;
  const run = (): Promise<void> => {
    next = undefined;
    lastMs = clock();
    return work();
  };
  return () => {
    if (next !== undefined) return next;
    const waitMs = lastMs + everyMs - clock();
    if (waitMs <= 0) return run();
    next = delay(waitMs, undefined, { ref: false }).then(run);
    return next;
  };
}
