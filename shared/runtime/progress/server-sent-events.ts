import { createHash } from 'node:crypto';
import type { Progress, Watch } from './watch.ts';

export type StreamOptions = {
  id: string;
  /** Whose stream it is. */
  owner: string;
  /** Its last event as the caller has it: what has not changed since is not told again. */
  lastEventId: string | undefined;
  signals: readonly AbortSignal[];
  /** The stream is over then; who listens comes again with the id of the last event. */
  maxMs?: number;
  /** Something is sent at least this often, so that nobody in between takes the stream for dead. */
  heartbeatMs?: number;
};

const ends = ['succeeded', 'failed', 'cancelled'] as const;

/** Has it come to an end? A failed one may still be retried. */
export function isEnded({ state }: Pick<Progress, 'state'>): boolean {
  return (ends as readonly string[]).includes(state);
}

/** The id of the event that tells of this: the same for the same. */
export function progressId(progress: Progress): string {
  return createHash('sha256').update(JSON.stringify(progress)).digest('base64url').slice(0, 16);
}

/** `event: progress` after every change, `event: end` with the last one (WHATWG HTML, server-sent events). */
export async function* progressEvents<Found extends Progress>(
  watch: Watch<Found>,
  options: StreamOptions,
): AsyncGenerator<string> {
  const { id, owner, signals, maxMs = 100_000, heartbeatMs = 15_000 } = options;
  let lastId = options.lastEventId;
  let latest: Found | undefined;
  let wake: (() => void) | undefined;
  const stop = watch.watch(id, owner, (found) => {
    latest = found;
    if (progressId(found) !== lastId || isEnded(found)) wake?.();
  });
  const over = AbortSignal.any([...signals, AbortSignal.timeout(maxMs)]);
  // Whoever is gone reads no further, so that what follows a piece is never come to.
  over.addEventListener('abort', stop, { once: true });
  try {
    if (over.aborted) return;
    yield 'retry: 1000\n\n';
    while (!over.aborted) {
      const isNews = await waitFor(over, heartbeatMs, (woken) => {
        wake = woken;
      });
      if (over.aborted) return;
      if (!isNews || latest === undefined) {
        yield ': still here\n\n';
        continue;
      }
      const newId = progressId(latest);
      const isOver = isEnded(latest);
      if (newId !== lastId) yield eventText(isOver ? 'end' : 'progress', newId, latest);
      lastId = newId;
      if (isOver) return;
    }
  } finally {
    over.removeEventListener('abort', stop);
    stop();
  }
}

function eventText(event: string, id: string, data: Progress): string {
  return `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** True when woken; false when the time or the stream is over. */
function waitFor(over: AbortSignal, afterMs: number, give: (wake: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (woken: boolean) => {
      clearTimeout(timer);
      over.removeEventListener('abort', onAbort);
      resolve(woken);
    };
    const onAbort = () => end(false);
    const timer = setTimeout(() => end(false), afterMs);
    over.addEventListener('abort', onAbort, { once: true });
    give(() => end(true));
  });
}
