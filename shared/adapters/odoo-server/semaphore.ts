import { Failure } from '#shared/domain/failure.ts';

/** Lets `size` callers in at a time; the others wait in the order they came. */
export type Semaphore = {
  /** @throws Failure `timeout` when no place came free in time. */
  use<T>(work: () => Promise<T>): Promise<T>;
  busy(): number;
  waiting(): number;
};

export function openSemaphore(size: number, options: { waitTimeoutMs: number; what: string }): Semaphore {
  let busy = 0;
  const queue: (() => void)[] = [];

  function enter(): Promise<void> {
    if (busy < size) {
      busy += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enterNow = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(enterNow), 1);
        reject(new Failure('timeout', `No ${options.what} came free within ${options.waitTimeoutMs} ms; try again`));
      }, options.waitTimeoutMs);
      queue.push(enterNow);
    });
  }

  function leave(): void {
    const next = queue.shift();
    // the place goes over to the next one, so that nobody can slip in between
    if (next === undefined) busy -= 1;
    else next();
  }

  return {
    async use(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
    busy: () => busy,
    waiting: () => queue.length,
  };
}
