import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Log } from '#shared/runtime/log.ts';
import { drainOutbox, type Publish } from '#shared/runtime/outbox.ts';
import { oneAtATime } from '#shared/runtime/platform.ts';

/** A batch writes at most as many events as five batches of the outbox hold; twice that catches up with what was left. */
const maxBatches = 10;

/** Publishes what whole batches of observations have written, one run at a time. What fails is left for the tick. */
export function flusher({
  database,
  publish,
  log,
}: {
  database: Database;
  publish: Publish;
  log: Pick<Log, 'warn'>;
}): () => Promise<void> {
  return oneAtATime(async () => {
    try {
      const { failed } = await drainOutbox(database, publish, { maxBatches });
      if (failed > 0) log.warn({ failed }, 'the broker did not take all events; the tick sends them');
    } catch (error) {
      log.warn({ err: error }, 'the outbox could not be flushed; the tick does it');
    }
  });
}
