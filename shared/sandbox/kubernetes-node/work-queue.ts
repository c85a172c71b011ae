/** Runs one function per key: never twice at once for a key, once more if the key came again meanwhile. */
export type WorkQueue = {
  add(key: string, options?: { delayMs?: number }): void;
  /** Waits for what is running; later additions are ignored. */
  stop(): Promise<void>;
};

const firstRetryMs = 100;
const maxRetryMs = 15_000;
/** Longer delays are cut (a Node timer holds 24.8 days at most); an early run decides again and waits on. */
const maxDelayMs = 3_600_000;

/** A failed key is tried again after 100 ms, doubling up to 15 s. */
export function openWorkQueue(run: (key: string) => Promise<void>, onError: (error: unknown) => void): WorkQueue {
  const timers = new Map<string, { timer: NodeJS.Timeout; atMs: number }>();
  const running = new Map<string, Promise<void>>();
  const again = new Set<string>();
  const failures = new Map<string, number>();
  let isStopped = false;

  function add(key: string, { delayMs = 0 } = {}): void {
    if (isStopped) return;
    const wait = Math.min(delayMs, maxDelayMs);
    const atMs = Date.now() + wait;
    const planned = timers.get(key);
    if (planned !== undefined && planned.atMs <= atMs) return;
    clearTimeout(planned?.timer);
    timers.set(key, { timer: setTimeout(() => due(key), wait), atMs });
  }

  function due(key: string): void {
    timers.delete(key);
    if (running.has(key)) again.add(key);
    else running.set(key, work(key));
  }

  async function work(key: string): Promise<void> {
    try {
      await run(key);
      failures.delete(key);
    } catch (error) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      onError(error);
      add(key, { delayMs: Math.min(maxRetryMs, firstRetryMs * 2 ** (count - 1)) });
    } finally {
      running.delete(key);
      if (again.delete(key)) add(key);
    }
  }

  return {
    add,
    async stop() {
      isStopped = true;
      for (const { timer } of timers.values()) clearTimeout(timer);
      timers.clear();
      await Promise.all(running.values());
    },
  };
}
