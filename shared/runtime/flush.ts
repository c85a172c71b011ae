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

/**
 * Flushes the outbox for whoever asks, one run at a time: a broker that hangs must not hold every connection of the pool.
 * Who asks while a run is going on gets the next one, which sees what was committed meanwhile and has what is left of his
 * time. What is not sent by then is left for the tick. Never throws.
 */
export function flusher({ send, log, withinMs = 2_000 }: FlushOptions): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const flush = async (untilMs: number): Promise<void> => {
    const leftMs = (untilMs - performance.now()) * shareOfSending;
    if (leftMs <= 0) return;
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
    const turn = running === undefined ? run(untilMs) : (next ??= running.then(() => run(untilMs)));
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
