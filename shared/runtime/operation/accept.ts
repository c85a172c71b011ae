import { isDeepStrictEqual } from 'node:util';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { changeInboxOutcome, recordEvent } from '#shared/adapters/postgres/inbox.ts';
import { findRequested, insertOperation, lockInstanceRequests } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';

/** The event that asks for an operation, after its data was parsed. */
export type RequestEvent = { source: string; id: string; type: string; dataHash: Buffer };

/** What is asked. */
export type OperationRequest = {
  kind: OperationKind;
  definitionVersion: number;
  deadlineMs: number;
  instanceId: string;
  /** Stands for the request within one source, instance and kind; the event's id unless the requester gave one. */
  idempotencyKey: string;
  request: unknown;
};

/** Part of the transaction: writes what the operation needs, or says why it is refused. */
export type Admit = (transaction: Queryable, operationId: string) => Promise<Admission>;

/** `coalesced`: an unfinished operation is what is asked for, and answers for both. */
export type Admission = { announce: readonly OutgoingEvent[] } & (
  | { admission: 'admitted' }
  | { admission: 'coalesced'; operationId: string }
  | { admission: 'refused'; refusal: Failure }
);

export type Accepted =
  | { outcome: 'accepted' | 'duplicate' | 'repeated' | 'coalesced'; operationId: string }
  | { outcome: 'refused'; refusal: Failure | undefined };

/**
 * Turns an event into a durable operation, in one transaction: inbox, operation, audit and announcement. The event is
 * done when that commits; every later delivery of it gets the same operation back.
 * @throws Failure `reused-event-id` when the event's id, or the idempotency key, came before with other data.
 */
export async function acceptOperation(
  database: Database,
  event: RequestEvent,
  options: { request: OperationRequest; admit: Admit },
): Promise<Accepted> {
  const operationId = newOperationId();
  return await database.transaction(async (transaction) => {
    const recorded = await recordEvent(transaction, {
      source: event.source,
      id: event.id,
      type: event.type,
      dataHash: event.dataHash,
      operationId,
      outcome: 'accepted',
    });
    if (recorded === 'other-data') throw reusedId(event);
    if (recorded !== 'new') return earlierAnswer(recorded);
    return await admitNew(transaction, { event, operationId, ...options });
  });
}

/**
 * The same for a request that came otherwise than as an event, and as part of the caller's transaction: without an inbox
 * row. Whether it was made before is then the caller's to know, and the idempotency key's.
 * @throws Failure `reused-event-id` when the idempotency key stands for another request.
 */
export async function acceptRequest(
  transaction: Queryable,
  event: RequestEvent,
  options: { request: OperationRequest; admit: Admit },
): Promise<Accepted> {
  return await admitNew(transaction, { event, operationId: newOperationId(), ...options });
}

/** The failure of an event whose id came before with other data. */
export function reusedId(event: RequestEvent): Failure {
  return new Failure(
    'reused-event-id',
    `Event id ${event.id} of source ${event.source} was used before with other data. Send a new request under a new id.`,
  );
}

function earlierAnswer(recorded: { duplicateOf: string | null }): Accepted {
  if (recorded.duplicateOf === null) return { outcome: 'refused', refusal: undefined };
  return { outcome: 'duplicate', operationId: recorded.duplicateOf };
}

async function admitNew(
  transaction: Queryable,
  work: { event: RequestEvent; operationId: string; request: OperationRequest; admit: Admit },
): Promise<Accepted> {
  const { event, operationId, request } = work;
  await lockInstanceRequests(transaction, request.instanceId);
  // Of this source: another's events may bear the same ids.
  const idempotencyKey = `${event.source}\n${request.idempotencyKey}`;
  const earlier = await findRequested(transaction, { ...request, idempotencyKey });
  if (earlier !== undefined) return await repeat(transaction, { event, request, earlier });
  const admission = await work.admit(transaction, operationId);
  await enqueue(transaction, admission.announce);
  if (admission.admission === 'coalesced') {
    await changeInboxOutcome(transaction, event, { operationId: admission.operationId, outcome: 'coalesced' });
    await audit(transaction, { ...work, operationId: admission.operationId }, { word: 'coalesced' });
    return { outcome: 'coalesced', operationId: admission.operationId };
  }
  if (admission.admission === 'refused') {
    await changeInboxOutcome(transaction, event, { operationId: null, outcome: `refused: ${admission.refusal.code}` });
    await audit(transaction, work, { word: 'refused', code: admission.refusal.code, text: admission.refusal.message });
    return { outcome: 'refused', refusal: admission.refusal };
  }
  await insertOperation(transaction, {
    ...request,
    idempotencyKey,
    id: operationId,
    requestedBy: event.source,
    cause: event.id,
  });
  await audit(transaction, work, { word: 'requested' });
  return { outcome: 'accepted', operationId };
}

/** The same request under another event id: the first one's operation answers. */
async function repeat(
  transaction: Queryable,
  work: { event: RequestEvent; request: OperationRequest; earlier: { id: string; request: unknown } },
): Promise<Accepted> {
  const { event, request, earlier } = work;
  if (isDeepStrictEqual(earlier.request, JSON.parse(JSON.stringify(request.request)))) {
    await changeInboxOutcome(transaction, event, { operationId: earlier.id, outcome: 'repeated' });
    return { outcome: 'repeated', operationId: earlier.id };
  }
  // Nothing of it is kept but the dead event, as with a reused id: the sender has mixed up its requests.
  throw new Failure(
    'reused-event-id',
    `Idempotency key ${request.idempotencyKey} stands for another request. Use a new key for a new request.`,
  );
}

async function audit(
  transaction: Queryable,
  { event, operationId, request }: { event: RequestEvent; operationId: string; request: OperationRequest },
  { word, ...refusal }: { word: 'requested' | 'coalesced' | 'refused'; code?: string; text?: string },
): Promise<void> {
  await appendAudit(transaction, {
    actor: event.source,
    action: `${request.kind}.${word}`,
    instanceId: request.instanceId,
    operationId: word === 'refused' ? null : operationId,
    detail: { event: event.id, ...refusal },
  });
}
