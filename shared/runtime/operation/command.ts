import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { recordEvent } from '#shared/adapters/postgres/inbox.ts';
import { findOperation, requestCancel, retryOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { type RequestEvent, reusedId } from './accept.ts';

/** What a person may say about an operation. `advance` is not among them: it changes nothing by itself. */
export type OperationCommandWord = 'retry' | 'cancel';

/** `ignored`: the operation is not in a state in which the command means anything; the audit says so. */
export type CommandOutcome = 'done' | 'duplicate' | 'ignored' | 'unknown';

/**
 * Writes a person's command into the operation's row; the next advance acts on it.
 * @throws Failure `reused-event-id` when the event's id came before with other data.
 */
export async function commandOperation(
  database: Database,
  event: RequestEvent,
  command: { word: OperationCommandWord; operationId: string; deadlineMs: number; reason: string },
): Promise<CommandOutcome> {
  const { word, operationId } = command;
  return await database.transaction(async (transaction) => {
    const operation = await findOperation(transaction, operationId);
    const recorded = await recordEvent(transaction, {
      source: event.source,
      id: event.id,
      type: event.type,
      dataHash: event.dataHash,
      operationId: operation === undefined ? null : operationId,
      outcome: operation === undefined ? 'unknown operation' : word,
    });
    if (recorded === 'other-data') throw reusedId(event);
    if (recorded !== 'new') return 'duplicate';
    if (operation === undefined) return 'unknown';
    const hasEffect =
      word === 'retry'
        ? await retryOperation(transaction, operationId, { deadlineMs: command.deadlineMs })
        : await requestCancel(transaction, operationId);
    await appendAudit(transaction, {
      actor: event.source,
      action: `${operation.kind}.${word}${hasEffect ? '' : '.ignored'}`,
      instanceId: operation.instanceId,
      operationId,
      detail: { event: event.id, reason: command.reason, state: operation.state },
    });
    return hasEffect ? 'done' : 'ignored';
  });
}
