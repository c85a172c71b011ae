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
