import type { Database } from '#shared/adapters/postgres/database.ts';
import { forgetPublished } from '#shared/adapters/postgres/outbox.ts';
import { flushOutbox, type Publish, writersMs } from '#shared/runtime/outbox.ts';

/** Batches one tick sends when a broker is back after a while: 1,000 events. */
const batches = 50;
/** For people who look into what was sent; nothing reads them again. */
const keptDays = 7;

/** What its writer did not publish, batch after batch while the broker takes them; old ones that were sent are forgotten. Returns how many were sent. */
export async function sweepOutbox({ database, publish }: { database: Database; publish: Publish }): Promise<number> {
  let sent = 0;
  for (let batch = 0; batch < batches; batch += 1) {
    const { published, failed } = await flushOutbox(database, publish, { olderThanMs: writersMs });
    sent += published;
    if (published === 0 || failed > 0) break;
  }
  await forgetPublished(database, { olderThanDays: keptDays, limit: 1_000 });
  return sent;
}
