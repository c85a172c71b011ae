/** One stop point as it was passed. */
export type PassedPoint = {
  /** Counted from 1 since the counter was armed. */
  number: number;
  name: string;
  /** How many points of this name were passed, this one included. */
  occurrence: number;
  /** What the store answered, where this is after its answer: a status, row counts, an SQLSTATE. */
  detail?: string;
};

/**
 * Where to stop: at the n-th point of a name. Not at a number: what other work of the process puts in between does not
 * move it.
 */
export type Stop = { name: string; occurrence: number; signal: 'SIGKILL' | 'SIGSTOP' };

export type Counter = {
  /** Points before this call are not counted. */
  arm(): void;
  pass(name: string, detail?: string): void;
};

/** Numbers stop points, tells `record` of each, and calls `halt` at those to stop at, once each. */
export function openCounter(options: {
  stops: readonly Stop[];
  record: (point: PassedPoint) => void;
  halt: (signal: Stop['signal']) => void;
}): Counter {
  const occurrences = new Map<string, number>();
  let isArmed = false;
  let number = 0;
  return {
    arm() {
      isArmed = true;
    },
    pass(name, detail) {
      if (!isArmed) return;
      number += 1;
      const occurrence = (occurrences.get(name) ?? 0) + 1;
      occurrences.set(name, occurrence);
      options.record({ number, name, occurrence, ...(detail === undefined ? {} : { detail }) });
      // A point is passed once, so it stops once.
      const stop = options.stops.find((one) => one.name === name && one.occurrence === occurrence);
      if (stop !== undefined) options.halt(stop.signal);
    },
  };
}
