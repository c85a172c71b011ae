import type { ObjectStore } from '#shared/domain/objects/ports.ts';

/** What a task works with. */
export type TaskContext = {
  store: ObjectStore;
  /** Empty, for this process alone, and removed after it. */
  folder: string;
  signal: AbortSignal;
  /** A line for the log. */
  say(line: string): void;
};

/**
 * Both, at the same time. When one fails the other is told by its signal, and waited for; the first failure is thrown.
 */
export async function allOrAbort<First, Second>(
  signal: AbortSignal,
  begin: (either: AbortSignal) => [Promise<First>, Promise<Second>],
): Promise<[First, Second]> {
  const other = new AbortController();
  const both = begin(AbortSignal.any([signal, other.signal]));
  let failure: { error: unknown } | undefined;
  for (const one of both) {
    one.catch((error: unknown) => {
      failure ??= { error };
      other.abort(error);
    });
  }
  const [first, second] = await Promise.allSettled(both);
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value];
  throw failure?.error;
}
