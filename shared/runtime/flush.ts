import type { Log } from './log.ts';

export type FlushOptions = {
  /** Sends what waits in the outbox, for so long, and says how many were not taken. */
  send(options: { withinMs: number }): Promise<{ failed: number }>;
  log: Pick<Log, 'warn'>;
  /** How long one call waits, whoever is before it. Default 2,000 ms: its caller has an answer to give. */
  withinMs?: number;
};

/** Of a call's time; the rest is for noting what was sent. */
const shareOfSending = 0.8;
/** In less, a broker may take what we no longer hear of: it would be sent again. */
const leastMs = 100;

/**
 * Flushes the outbox for whoever asks, one run at a time: a broker that hangs must not hold every connection of the pool.
 * Who asks while a run is going on gets the next one, which sees what was committed meanwhile and has what is left of the
 * time of the last who asked. What is not sent by then is left for the tick. Never throws.
 */
export function flusher({ send, log, withinMs = 2_000 }: FlushOptions): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** The latest time of those who wait for `next`; each of them waits for his own only. */
  let nextUntilMs = 0;

  const flush = async (untilMs: number): Promise<void> => {
    const leftMs = (untilMs - performance.now()) * shareOfSending;
    if (leftMs < leastMs) return;
    try {
      const { failed } = await send({ withinMs: leftMs });
      if (failed > 0) log.warn({ failed }, 'the broker did not take all events; the tick sends them');
    } catch (error) {
      log.warn({ err: error }, 'the outbox could not be flushed; the tick does it');
    }
  };
  const run = (untilMs: number): Promise<void> => {
    next = undefined;
    running = flush(untilMs).finally(() => {
      running = undefined;
    });
    return running;
  };
  return async () => {
    const untilMs = performance.now() + withinMs;
    nextUntilMs = untilMs;
    const turn = running === undefined ? run(untilMs) : (next ??= running.then(() => run(nextUntilMs)));
    // where the database hangs, the run ends later than its time; its transaction is rolled back, and nothing is lost
    const isOver = await isOverWithin(turn, withinMs);
    if (!isOver) log.warn({ withinMs }, 'flushing the outbox takes too long; the tick does it');
  };
}

async function isOverWithin(work: Promise<void>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
