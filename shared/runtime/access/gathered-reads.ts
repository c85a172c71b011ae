export type GatheredReadsOptions = {
  /** From the beginning of a reading to that of the next one, at least. */
  everyMs: number;
  /** In one reading; the rest waits for the next. */
  mostKeys: number;
  /** Of a clock that nobody sets. */
  nowMs?: () => number;
  wait?: (ms: number) => Promise<unknown>;
};

/**
 * Reads one key at once where nobody else reads; those who come meanwhile are read together by the next reading. So the place
 * that is read is asked once at a time and once in `everyMs`, however many ask for however many keys. A reading that fails
 * fails for those who are in it.
 */
export function gatheredReads<Value>(
  read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>,
  options: GatheredReadsOptions,
): (key: string) => Promise<Value | undefined> {
  const { everyMs, mostKeys, nowMs = () => performance.now(), wait = pause } = options;
  const waiting = new Map<string, PromiseWithResolvers<Value | undefined>>();
  let isReading = false;
  let nextAtMs = Number.NEGATIVE_INFINITY;

  async function readWaiting(): Promise<void> {
    isReading = true;
    while (waiting.size > 0) {
      if (nextAtMs > nowMs()) await wait(nextAtMs - nowMs());
      nextAtMs = nowMs() + everyMs;
      const together = [...waiting].slice(0, mostKeys);
      for (const [key] of together) waiting.delete(key);
      try {
        const found = await read(together.map(([key]) => key));
        for (const [key, { resolve }] of together) resolve(found.get(key));
      } catch (failure) {
        for (const [, { reject }] of together) reject(failure);
      }
    }
    isReading = false;
  }

  return (key) => {
    const asked = waiting.get(key) ?? Promise.withResolvers<Value | undefined>();
    waiting.set(key, asked);
    if (!isReading) void readWaiting();
    return asked.promise;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
