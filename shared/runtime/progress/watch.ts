import type { OperationProgress } from '#shared/adapters/postgres/operation-progress.ts';
import { Failure } from '#shared/domain/failure.ts';

export type WatchOptions = {
  /** Reads all that are watched at once. */
  read(ids: readonly string[]): Promise<OperationProgress[]>;
  pollMs?: number;
  /** How many may watch at a time. */
  maxWatchers?: number;
};

export type Watch = {
  /**
   * Calls back with what every look finds, also when nothing has changed, until the returned function is called.
   * @throws Failure `too-many-requests`.
   */
  watch(id: string, onLook: (found: OperationProgress) => void): () => void;
};

/**
 * One look for all who watch, however many they are, and none while nobody does. A look that fails is left out: whoever
 * watches hears of the next one.
 */
export function openWatch({ read, pollMs = 500, maxWatchers = 200 }: WatchOptions): Watch {
  const watchers = new Set<{ id: string; onLook: (found: OperationProgress) => void }>();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    const found = await read([...new Set([...watchers].map(({ id }) => id))]).catch(() => []);
    const byId = new Map(found.map((one) => [one.id, one]));
    for (const { id, onLook } of [...watchers]) {
      const one = byId.get(id);
      if (one !== undefined) onLook(one);
    }
    timer = undefined;
    begin(pollMs);
  }

  function begin(afterMs: number): void {
    if (timer !== undefined || watchers.size === 0) return;
    timer = setTimeout(() => void look(), afterMs);
  }

  return {
    watch(id, onLook) {
      if (watchers.size >= maxWatchers) {
        const text = `${maxWatchers} callers watch operations already. Ask for the operation itself from time to time.`;
        throw new Failure('too-many-requests', text, { facts: { retryAfterMs: 5_000 } });
      }
      const watcher = { id, onLook };
      watchers.add(watcher);
      begin(0);
      return () => {
        watchers.delete(watcher);
        if (watchers.size > 0) return;
        clearTimeout(timer);
        timer = undefined;
      };
    },
  };
}
