import type { Entry } from './journal.ts';

/** The events of one Trigger, or its dead letters, on their way out. */
export type Queue = {
  push(entry: Entry, options?: { delayMs?: number }): void;
  /** Queued and in flight. */
  size(): number;
  /** Takes out what is in flight and what is next, up to `count`; their deliveries are aborted and have no outcome. */
  take(count: number): Entry[];
  /** Takes out one entry, as `take` does, if it is here. */
  withdraw(entry: Entry): void;
  /** Aborts what is in flight and waits for its end; nothing is delivered any more. */
  stop(): Promise<void>;
};

type Waiting = { entry: Entry; notBefore: number };

/**
 * First in, first out, `parallelism` at a time. `keyOf`: entries with the same key are delivered one after the other.
 * `deliver` gets a signal that is aborted when the entry was taken out or the queue stopped; it never throws.
 */
export function openQueue(
  deliver: (entry: Entry, signal: AbortSignal) => Promise<void>,
  options: { parallelism: number; keyOf?: (entry: Entry) => string | undefined; onChange: () => void },
): Queue {
  const waiting: Waiting[] = [];
  const inFlight = new Map<Entry, AbortController>();
  const runs = new Set<Promise<void>>();
  const busyKeys = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  function pump(): void {
    clearTimeout(timer);
    const now = Date.now();
    let earliest = Number.POSITIVE_INFINITY;
    let index = 0;
    while (!isStopped && inFlight.size < options.parallelism && index < waiting.length) {
      const next = waiting[index] as Waiting;
      if (next.notBefore > now) earliest = Math.min(earliest, next.notBefore);
      if (next.notBefore > now || isBusy(next.entry)) {
        index += 1;
        continue;
      }
      waiting.splice(index, 1);
      const ended = run(next.entry).finally(() => runs.delete(ended));
      runs.add(ended);
    }
    // when all places are taken, the next one that becomes free pumps again
    if (earliest !== Number.POSITIVE_INFINITY) timer = setTimeout(pump, earliest - now);
  }

  async function run(entry: Entry): Promise<void> {
    const controller = new AbortController();
    const key = options.keyOf?.(entry);
    inFlight.set(entry, controller);
    if (key !== undefined) busyKeys.add(key);
    await deliver(entry, controller.signal);
    inFlight.delete(entry);
    if (key !== undefined) busyKeys.delete(key);
    pump();
    options.onChange();
  }

  function isBusy(entry: Entry): boolean {
    const key = options.keyOf?.(entry);
    return key !== undefined && busyKeys.has(key);
  }

  return {
    push(entry, { delayMs = 0 } = {}) {
      waiting.push({ entry, notBefore: delayMs === 0 ? 0 : Date.now() + delayMs });
      pump();
    },
    size: () => waiting.length + inFlight.size,
    take(count) {
      const taken = [...inFlight.keys()].slice(0, count);
      for (const entry of taken) inFlight.get(entry)?.abort();
      const queued = waiting.splice(0, count - taken.length).map(({ entry }) => entry);
      return [...taken, ...queued];
    },
    withdraw(entry) {
      inFlight.get(entry)?.abort();
      const index = waiting.findIndex((item) => item.entry === entry);
      if (index >= 0) waiting.splice(index, 1);
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      for (const controller of inFlight.values()) controller.abort();
      await Promise.all(runs);
    },
  };
}
