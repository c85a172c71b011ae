/** Knows when the broker has nothing to do. */
export type Idleness = {
  /** To be called whenever something has ended. */
  check(): void;
  /** Not idle until `work` is done. */
  during<T>(work: Promise<T>): Promise<T>;
  wait(): Promise<void>;
};

export function watchIdleness(isEmpty: () => boolean): Idleness {
  let busy = 0;
  let waiters: (() => void)[] = [];
  const isIdle = (): boolean => busy === 0 && isEmpty();
  function check(): void {
    if (!isIdle()) return;
    const ready = waiters;
    waiters = [];
    for (const resolve of ready) resolve();
  }
  return {
    check,
    async during(work) {
      busy += 1;
      try {
        return await work;
      } finally {
        busy -= 1;
        check();
      }
    },
    wait: () => (isIdle() ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
  };
}
