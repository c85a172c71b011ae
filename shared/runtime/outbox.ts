import type { Database } from '#shared/adapters/postgres/database.ts';
import { markFailed, markPublished, takeUnpublished } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';

/** Sends events to the broker; each is answered by itself. `withinMs`: for all of them; what was never begun is in `failed` and `isLeft`. */
export type Publish = (
  events: readonly OutgoingEvent[],
  options?: { withinMs?: number },
) => Promise<{ published: string[]; failed: { id: string; reason: string; isLeft?: true }[] }>;

/** For so long an event is its writer's to publish; then it is the tick's. Longer than a flush takes. */
export const writersMs = 3_000;

/** Enough for what one request writes, and few enough to be sent within one publisher timeout. */
const batch = 20;

/**
 * Publishes what waits in the outbox, or what waits of `ids`, once, and says how it went. The rows stay locked meanwhile, so
 * that two processes do not send the same ones; a crash between sending and noting sends them again under the same ids.
 */
export async function flushOutbox(
  database: Database,
  publish: Publish,
  { withinMs, ...options }: { olderThanMs?: number; ids?: readonly string[]; withinMs?: number } = {},
): Promise<{ published: number; failed: number }> {
  // a note that is forgotten sends its event again, under the same id
  const note = { mayBeForgotten: true };
  return await database.transaction(async (transaction) => {
    const events = await takeUnpublished(transaction, { limit: options.ids?.length ?? batch, ...options });
    if (events.length === 0) return { published: 0, failed: 0 };
    const { published, failed } = await publish(events, withinMs === undefined ? {} : { withinMs });
    await markPublished(transaction, published);
    await markFailed(transaction, refusedOf(failed));
    return { published: published.length, failed: failed.length };
  }, note);
}

/** Those that were not begun keep their turn. */
export function refusedOf(failed: Awaited<ReturnType<Publish>>['failed']): { id: string; error: string }[] {
  return failed.filter(({ isLeft }) => isLeft !== true).map(({ id, reason }) => ({ id, error: reason }));
}
