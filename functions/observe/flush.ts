import type { Database } from '#shared/adapters/postgres/database.ts';
import { flusher } from '#shared/runtime/flush.ts';
import type { Log } from '#shared/runtime/log.ts';
import { drainOutbox, type Publish } from '#shared/runtime/outbox.ts';

/** A batch writes at most as many events as five batches of the outbox hold; twice that catches up with what was left. */
const maxBatches = 10;

/** Publishes what whole batches of observations have written. */
export function drainer(parts: { database: Database; publish: Publish; log: Pick<Log, 'warn'> }): () => Promise<void> {
  const { database, publish, log } = parts;
  return flusher({ send: ({ withinMs }) => drainOutbox(database, publish, { maxBatches, withinMs }), log });
}
