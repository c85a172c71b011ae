export type BatchOptions = {
  /** Of one run. */
  maxItems: number;
  /**
   * Is this failure of a whole batch everybody's (the database is away)? Then all get it. Any other may be the fault of
   * one item: each is run again alone, and has its own.
   */
  isEverybodys(error: unknown): boolean;
};

type Waiting<Item, Result> = {
  item: Item;
  resolve(result: Result): void;
  reject(reason: unknown): void;
};

/**
 * Runs what is asked for at the same time together. One batch runs at a time; what comes meanwhile makes the next one, so
 * that batches grow with the load and nobody waits for a timer: alone, an item runs at once. Each caller gets the result or
 * the failure of its own item.
 *
 * `run` answers in the order of its items. When it throws, nothing of the batch may have happened.
 */
export function inBatches<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly PromiseSettledResult<Result>[]>,
  { maxItems, isEverybodys }: BatchOptions,
): (item: Item) => Promise<Result> {
  const waiting: Waiting<Item, Result>[] = [];
  let isRunning = false;

  async function runWaiting(): Promise<void> {
    while (waiting.length > 0) await runBatch(waiting.splice(0, maxItems));
    isRunning = false;
  }

  async function runBatch(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    let results: readonly PromiseSettledResult<Result>[];
    try {
      results = await run(batch.map(({ item }) => item));
    } catch (error) {
      if (batch.length === 1 || isEverybodys(error)) for (const one of batch) one.reject(error);
      else for (const one of batch) await runBatch([one]);
      return;
    }
    batch.forEach((one, index) => {
      const result = results[index];
      if (result === undefined) one.reject(new TypeError('a batch was answered with too few results'));
      else if (result.status === 'fulfilled') one.resolve(result.value);
      else one.reject(result.reason);
    });
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (isRunning) return;
      isRunning = true;
      // after what has arrived in the same turn of the event loop: its items belong to the first batch
      setImmediate(() => void runWaiting());
    });
}
