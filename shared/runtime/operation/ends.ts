import { statusChanged } from '#events/instance/status-changed.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { moveInstance } from '#shared/adapters/postgres/instance-records.ts';
import { nextQueued } from '#shared/adapters/postgres/operation-ends.ts';
import { type CancelState, lockOperation } from '#shared/adapters/postgres/operation-lock.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { InstanceEvent } from '#shared/domain/instance/transitions.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { Lease } from '#shared/domain/operation/ports.ts';

// The pieces that the beginnings and ends of all operations are made of: one transaction under the operation's lock with
// status, audit and events in it.

/** `write` is told whether the operation is to end before its time, under the lock that any further wish for that waits for. */
export async function underLease(
  database: Database,
  context: InstanceContext,
  write: (transaction: Queryable, cancel: CancelState) => Promise<readonly OutgoingEvent[]>,
): Promise<CancelState> {
  return await database.transaction(async (transaction) => {
    const cancel = await lockOperation(transaction, context.operation);
    await enqueue(transaction, await write(transaction, cancel));
    return cancel;
  });
}

export function leaseOf({ operation }: InstanceContext): Lease {
  return { operationId: operation.id, fence: operation.fence };
}

/** The envelope of an event the operation causes in this round; the same event said twice is one. */
export function envelopeOf(context: InstanceContext, what: string, source: string) {
  const { operation } = context;
  return { id: eventIdOf(operation.id, `${what} ${operation.round}`), source, causationId: operation.cause };
}

/** Moves the instance's status by the table, and says so. Nothing when the table has no such row. */
export async function moveOn(
  transaction: Queryable,
  context: InstanceContext,
  move: { event: InstanceEvent; reason: string; source: string },
): Promise<readonly OutgoingEvent[]> {
  const reason = oneLine(move.reason, 500);
  const change = await moveInstance(transaction, context.instance.id, { event: move.event, reason });
  if (change === undefined) return [];
  const { from, to, generation, customerId } = change;
  const data = { instance: context.instance.id, customer: customerId, from, to, reason, generation };
  return [announce(statusChanged, data, envelopeOf(context, move.event, move.source))];
}

/** At the end of an operation: tells the next one of the instance that its turn has come. */
export async function passTurn(
  transaction: Queryable,
  context: InstanceContext,
  source: string,
): Promise<readonly OutgoingEvent[]> {
  const next = await nextQueued(transaction, context.instance.id);
  if (next === undefined) return [];
  const data = { operation: next.id, instance: next.instanceId, kind: next.kind, reason: 'Its turn has come.' };
  return [announce(operationAdvance, data, envelopeOf(context, `turn of ${next.id}`, source))];
}

export async function auditEnd(
  transaction: Queryable,
  { instance, operation }: InstanceContext,
  entry: { end: string; detail: Record<string, unknown> },
): Promise<void> {
  await appendAudit(transaction, {
    actor: operation.kind,
    action: `${operation.kind}.${entry.end}`,
    instanceId: instance.id,
    operationId: operation.id,
    detail: entry.detail,
  });
}
