/**
 * Reads, and where that fails tells of it and gives what it read last, if that is not older than `keptMs`. Undefined where it has
 * nothing to give. Never throws.
 */
export function lastKnown<Result>(
  read: () => Promise<Result>,
  {
    keptMs,
    onTrouble,
    clock = () => performance.now(),
  }: { keptMs: number; onTrouble: (error: unknown) => void; clock?: () => number },
): () => Promise<Result | undefined> {
  let last: { result: Result; atMs: number } | undefined;
  return async () => {
    try {
      last = { result: await read(), atMs: clock() };
    } catch (error) {
      onTrouble(error);
    }
    return last !== undefined && clock() - last.atMs <= keptMs ? last.result : undefined;
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
