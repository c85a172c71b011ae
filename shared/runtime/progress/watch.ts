import { Failure } from '#shared/domain/failure.ts';
import type { OperationState } from '#shared/domain/operation/operation.ts';

/** How far an operation is, as whoever follows it is told. */
export type Progress = { id: string; state: OperationState };

export type WatchOptions<Found extends Progress> = {
  /** Reads all that are watched at once. */
  read(ids: readonly string[]): Promise<readonly Found[]>;
  pollMs?: number;
  /** How many may watch at a time, in all and of one owner. */
  maxWatchers?: number;
  maxPerOwner?: number;
};

export type Watch<Found extends Progress> = {
  /**
   * Calls back with what every look finds, also when nothing has changed, until the returned function is called.
   * @throws Failure `too-many-requests`.
   */
  watch(id: string, owner: string, onLook: (found: Found) => void): () => void;
};

/**
 * One look for all who watch, however many they are, and none while nobody does. A look that fails is left out: whoever
 * watches hears of the next one.
 */
export function openWatch<Found extends Progress>(options: WatchOptions<Found>): Watch<Found> {
  const { read, pollMs = 500, maxWatchers = 200, maxPerOwner = 20 } = options;
  const watchers = new Set<{ id: string; owner: string; onLook: (found: Found) => void }>();
  let timer: NodeJS.Timeout | undefined;
  let isLooking = false;

  async function look(): Promise<void> {
    timer = undefined;
    isLooking = true;
    const found = await read([...new Set([...watchers].map(({ id }) => id))]).catch(() => []);
    const byId = new Map(found.map((one) => [one.id, one]));
    for (const { id, onLook } of [...watchers]) {
      const one = byId.get(id);
      if (one !== undefined) onLook(one);
    }
    isLooking = false;
    begin(pollMs);
  }

  function begin(afterMs: number): void {
    if (isLooking || timer !== undefined || watchers.size === 0) return;
    timer = setTimeout(() => void look(), afterMs);
  }

  return {
    watch(id, owner, onLook) {
      const ofOwner = [...watchers].filter((one) => one.owner === owner).length;
      if (watchers.size >= maxWatchers || ofOwner >= maxPerOwner) {
        const text = 'Too many follow operations already. Ask for the operation itself from time to time.';
        throw new Failure('too-many-requests', text, { facts: { retryAfterMs: 5_000 } });
      }
      const watcher = { id, owner, onLook };
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
