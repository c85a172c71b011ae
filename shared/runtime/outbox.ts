import type { Database } from '#shared/adapters/postgres/database.ts';
import { markFailed, markPublished, takeUnpublished } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';

/** Sends events to the broker; each is answered by itself. `withinMs`: for all of them; what was never begun is in `failed` and `isLeft`. */
export type Publish = (
  events: readonly OutgoingEvent[],
  options?: { withinMs?: number },
) => Promise<{ published: string[]; failed: { id: string; reason: string; isLeft?: true }[] }>;

/** Enough for what one request writes, and few enough to be sent within one publisher timeout. */
const batch = 20;

/**
 * Publishes what waits in the outbox, once, and says how it went. The rows stay locked meanwhile, so that two
 * processes do not send the same ones; a crash between sending and noting sends them again under the same ids.
 */
export async function flushOutbox(
  database: Database,
  publish: Publish,
  { withinMs, ...options }: { olderThanMs?: number; withinMs?: number } = {},
): Promise<{ published: number; failed: number }> {
  // a note that is forgotten sends its event again, under the same id
  const note = { mayBeForgotten: true };
  return await database.transaction(async (transaction) => {
    const events = await takeUnpublished(transaction, { limit: batch, ...options });
    if (events.length === 0) return { published: 0, failed: 0 };
    const { published, failed } = await publish(events, withinMs === undefined ? {} : { withinMs });
    await markPublished(transaction, published);
    await markFailed(
      transaction,
      // those that were not begun keep their turn
      failed.filter(({ isLeft }) => isLeft !== true).map(({ id, reason }) => ({ id, error: reason })),
    );
    return { published: published.length, failed: failed.length };
  }, note);
}

/**
 * Publishes batch after batch until nothing waits, the broker does not take all, or a limit is reached. For whoever
 * writes more events at once than one batch holds.
 */
export async function drainOutbox(
  database: Database,
  publish: Publish,
  { maxBatches, withinMs }: { maxBatches: number; withinMs: number },
): Promise<{ published: number; failed: number }> {
  const total = { published: 0, failed: 0 };
  const untilMs = performance.now() + withinMs;
  for (let run = 0; run < maxBatches; run += 1) {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) break;
    const { published, failed } = await flushOutbox(database, publish, { withinMs: leftMs });
    total.published += published;
    total.failed += failed;
    if (published < batch) break;
  }
  return total;
}
