import type { Database } from '#shared/adapters/postgres/database.ts';
import { markFailed, markPublished, tellOfOutbox } from '#shared/adapters/postgres/outbox.ts';
import { currentContext, type WrittenEvent } from '#shared/adapters/tracing/request-context.ts';
import { inBatches } from './batch.ts';
import { type FlushOptions, flusher, flushWithin } from './flush.ts';
import { flushOutbox, type Publish, refusedOf } from './outbox.ts';

type Parts = { database: Database; publish: Publish; log: FlushOptions['log'] };

/** A database that knows what was written through it, and a flush that publishes that. Never throws. */
export type OwnEvents = { database: Database; flush(): Promise<void> };

/** Publishes what the request that runs has written, and nothing of anybody else's. */
export function eventsOfRequest(parts: Parts): OwnEvents {
  const send = sender(parts);
  const database = tellOfOutbox(parts.database, (events) => {
    currentContext()?.written.push(...writtenNow(events));
  });
  return {
    database,
    async flush() {
      const written = currentContext()?.written.splice(0) ?? [];
      if (written.length > 0) await flushWithin({ ...parts, send: (limit) => send(written, limit) });
    },
  };
}

/** Publishes what the whole process has written, one run at a time: for those whose requests write together. */
export function eventsOfProcess(parts: Parts): OwnEvents {
  const send = sender(parts);
  const written: WrittenEvent[] = [];
  return {
    database: tellOfOutbox(parts.database, (events) => written.push(...writtenNow(events))),
    flush: flusher({ ...parts, send: (limit) => send(written.splice(0), limit) }),
  };
}

function writtenNow(events: readonly WrittenEvent['event'][]): WrittenEvent[] {
  const committedMs = performance.now();
  return events.map((event) => ({ event, committedMs }));
}

/** So much younger than what the tick takes that it is sent and noted before. */
const freshMs = 1_000;
const notesAtOnce = 100;

/**
 * Sends events that this process has committed. Fresh ones are nobody else's: they are sent as they were written, and noted
 * in one statement with those of others. The tick may have sent the rest.
 */
function sender({ database, publish }: Parts) {
  const note = inBatches(
    async (sent: readonly (readonly string[])[]) => {
      await markPublished(database, sent.flat());
      return sent.map(() => ({ status: 'fulfilled', value: undefined }) as const);
    },
    { maxItems: notesAtOnce, isEverybodys: () => true },
  );
  return async (written: readonly WrittenEvent[], limit: { withinMs: number }): Promise<{ failed: number }> => {
    const events = written.map(({ event }) => event);
    const isFresh = written.every(({ committedMs }) => performance.now() - committedMs < freshMs);
    if (!isFresh) return await flushOutbox(database, publish, { ids: events.map(({ id }) => id), ...limit });
    const { published, failed } = await publish(events, limit);
    if (published.length > 0) await note(published);
    await markFailed(database, refusedOf(failed));
    return { failed: failed.length };
  };
}
