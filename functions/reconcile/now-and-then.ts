/** Reads, and where that fails tells of it and gives what it read last; undefined where it never read anything. Never throws. */
export function lastKnown<Result>(
  read: () => Promise<Result>,
  onTrouble: (error: unknown) => void,
): () => Promise<Result | undefined> {
  let last: Result | undefined;
  return async () => {
    try {
      last = await read();
    } catch (error) {
      onTrouble(error);
    }
    return last;
  };
}

/** Reads at most once in `everyMs`, and gives what it read last in between. A reading that fails is repeated by the next call. */
export function nowAndThen<Result>(
  read: () => Promise<Result>,
  { everyMs, clock = () => performance.now() }: { everyMs: number; clock?: () => number },
): () => Promise<Result> {
  let last: { result: Result; atMs: number } | undefined;
  return async () => {
    if (last === undefined || clock() - last.atMs >= everyMs) last = { result: await read(), atMs: clock() };
    return last.result;
  };
}
