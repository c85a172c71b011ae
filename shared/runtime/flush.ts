import type { Log } from './log.ts';

export type FlushOptions = {
  /** Sends what waits in the outbox, for so long, and says how many were not taken. */
  send(options: { withinMs: number }): Promise<{ failed: number }>;
  log: Pick<Log, 'warn'>;
  /** How long one call waits, whoever is before it. Default 2,000 ms: its caller has an answer to give. */
  withinMs?: number;
};

const defaultWithinMs = 2_000;
/** Of a call's time; the rest is for noting what was sent. */
const shareOfSending = 0.8;
/** In less, a broker may take what we no longer hear of: it would be sent again. */
const leastMs = 100;

/** Sends once, whoever else does. What is not sent in time is left for the tick. Never throws. */
export async function flushWithin({ withinMs = defaultWithinMs, ...options }: FlushOptions): Promise<void> {
  await inTime(flush(options, performance.now() + withinMs), { ...options, withinMs });
}

/**
 * Flushes the outbox for whoever asks, one run at a time: a broker that hangs must not hold every connection of the pool.
 * Who asks while a run is going on gets the next one, which sees what was committed meanwhile and has what is left of the
 * time of the last who asked. What is not sent by then is left for the tick. Never throws.
 */
export function flusher({ withinMs = defaultWithinMs, ...options }: FlushOptions): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** The latest time of those who wait for `next`; each of them waits for his own only. */
  let nextUntilMs = 0;

  const run = (untilMs: number): Promise<void> => {
    next = undefined;
    running = flush(options, untilMs).finally(() => {
      running = undefined;
    });
    return running;
  };
  return async () => {
    const untilMs = performance.now() + withinMs;
    nextUntilMs = untilMs;
    const turn = running === undefined ? run(untilMs) : (next ??= running.then(() => run(nextUntilMs)));
    await inTime(turn, { ...options, withinMs });
  };
}

async function flush({ send, log }: FlushOptions, untilMs: number): Promise<void> {
  const leftMs = (untilMs - performance.now()) * shareOfSending;
  if (leftMs < leastMs) return;
  try {
    const { failed } = await send({ withinMs: leftMs });
    if (failed > 0) log.warn({ failed }, 'the broker did not take all events; the tick sends them');
  } catch (error) {
    log.warn({ err: error }, 'the outbox could not be flushed; the tick does it');
  }
}

/** Where the database hangs, the run ends later than its time; what it did not note is sent again, and nothing is lost. */
async function inTime(run: Promise<void>, { log, withinMs }: { log: FlushOptions['log']; withinMs: number }) {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), withinMs);
  try {
    const isOver = await Promise.race([run.then(() => true), late]);
    if (!isOver) log.warn({ withinMs }, 'flushing the outbox takes too long; the tick does it');
  } finally {
    clearTimeout(timer);
  }
}
