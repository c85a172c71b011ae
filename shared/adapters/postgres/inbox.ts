import type { Queryable } from './database.ts';

/** What an earlier delivery of the same event came to. */
export type EarlierDelivery = { duplicateOf: string | null; outcome: string };

/**
 * Writes that an event was received, in the transaction that acts on it; the event is done when that commits. A delivery at
 * the same time waits here for the first one's end. `other-data`: the id was used for another type or other data.
 */
export async function recordEvent(
  transaction: Queryable,
  event: {
    source: string;
    id: string;
    type: string;
    /** sha256 of the event's data. */
    dataHash: Buffer;
    /** May name an operation that is written later in the same transaction. */
    operationId: string | null;
    outcome: string;
  },
): Promise<'new' | EarlierDelivery | 'other-data'> {
  const { source, id, type, dataHash, operationId, outcome } = event;
  const { rowCount } = await transaction.query(
    `insert into inbox (source, id, type, data_hash, operation_id, outcome)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (source, id) do nothing`,
    [source, id, type, dataHash, operationId, outcome],
  );
  if (rowCount === 1) return 'new';
  const { rows } = await transaction.query<{ is_same: boolean; operation_id: string | null; outcome: string }>(
    `select type = $3 and data_hash = $4 as is_same, operation_id, outcome
     from inbox where source = $1 and id = $2`,
    [source, id, type, dataHash],
  );
  const earlier = rows[0];
  // rows are never deleted while their event may still be delivered
  if (earlier === undefined) throw new Error('an inbox row vanished between two statements');
  return earlier.is_same ? { duplicateOf: earlier.operation_id, outcome: earlier.outcome } : 'other-data';
}

/** Says what the event came to, once that is known. */
export async function changeInboxOutcome(
  transaction: Queryable,
  event: { source: string; id: string },
  { operationId, outcome }: { operationId: string | null; outcome: string },
): Promise<void> {
  await transaction.query('update inbox set operation_id = $3, outcome = $4 where source = $1 and id = $2', [
    event.source,
    event.id,
    operationId,
    outcome,
  ]);
}
