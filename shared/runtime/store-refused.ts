import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type DeadEvent, storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';

/**
 * Keeps an event that was refused. What a source was not allowed is audited as well, each time it tries; both are
 * written or neither.
 */
export async function storeRefused(database: Database, event: DeadEvent): Promise<void> {
  if (event.reasonCode !== 'not-allowed') {
    await storeDeadEvent(database, event);
    return;
  }
  await database.transaction(async (transaction) => {
    const { sequence } = await storeDeadEvent(transaction, event);
    await appendAudit(transaction, {
      actor: event.source ?? 'unknown',
      action: `${event.type ?? 'unknown'}.refused`,
      detail: { event: event.id, function: event.receivedBy, reason: event.reason, deadEvent: sequence },
    });
  });
}
