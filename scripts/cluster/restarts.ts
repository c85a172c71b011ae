/** A daemon that dies more often than this while the node comes up cannot live. */
export const maxRestarts = 8;

/** What is remembered of a daemon that was started. Times are milliseconds on one clock. */
export type Life = { restarts: number; diedAt?: number };

export type Verdict<Name extends string> = {
  lives: Map<Name, Life>;
  /** Have died since the last look. */
  died: Name[];
  /** Are to be started again now. */
  due: Name[];
  /** Died once more after all its restarts. */
  lost?: Name;
};

/** From each death to the next start: 0.5 s at first, so that what it lacked may come, and 10 s at most. */
export function restartDelayMs(restarts: number): number {
  return Math.min(10_000, 500 * 2 ** restarts);
}

/** What to do about daemons that do not run, as systemd would with `Restart=always` and a limit. */
export function judge<Name extends string>(
  lives: ReadonlyMap<Name, Life>,
  running: ReadonlySet<Name>,
  now: number,
  limit = maxRestarts,
): Verdict<Name> {
  const verdict: Verdict<Name> = { lives: new Map(), died: [], due: [] };
  for (const [name, { restarts, diedAt }] of lives) {
    if (running.has(name)) {
      verdict.lives.set(name, { restarts });
    } else if (diedAt === undefined) {
      verdict.died.push(name);
      verdict.lives.set(name, { restarts, diedAt: now });
      if (restarts >= limit) verdict.lost ??= name;
    } else if (now - diedAt >= restartDelayMs(restarts)) {
      verdict.due.push(name);
      verdict.lives.set(name, { restarts: restarts + 1 });
    } else {
      verdict.lives.set(name, { restarts, diedAt });
    }
  }
  return verdict;
}
