import { provisionFailed } from '#events/instance/provision-failed.ts';
import { provisioned } from '#events/instance/provisioned.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { notificationRequested } from '#events/notification/requested.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { freeHost, moveInstance, type StatusChange } from '#shared/adapters/postgres/instance-records.ts';
import {
  cancelOperation,
  failOperation,
  nextQueued,
  secondsSinceAccepted,
  succeedOperation,
} from '#shared/adapters/postgres/operation-ends.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { lockOperation } from '#shared/adapters/postgres/placement.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { InstanceEvent } from '#shared/domain/instance/transitions.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';

/** `write` is told whether a cancel was asked for, under the lock that any further one waits for. */
async function inOneTransaction(
  database: Database,
  context: InstanceContext,
  write: (transaction: Queryable, now: { cancelRequested: boolean }) => Promise<OutgoingEvent[]>,
): Promise<{ cancelRequested: boolean }> {
  return await database.transaction(async (transaction) => {
    const now = await lockOperation(transaction, context.operation);
    await enqueue(transaction, await write(transaction, now));
    return now;
  });
}

function leaseOf({ operation }: InstanceContext) {
  return { operationId: operation.id, fence: operation.fence };
}

function envelope(context: InstanceContext, what: string, source: string) {
  const { operation } = context;
  return { id: eventIdOf(operation.id, `${what} ${operation.round}`), source, causationId: operation.cause };
}

/** Moves the instance's status, and says so. */
async function moveOn(
  transaction: Queryable,
  context: InstanceContext,
  move: { event: InstanceEvent; reason: string; source: string; hasObserved?: boolean },
): Promise<OutgoingEvent[]> {
  const described = { ...move, reason: oneLine(move.reason, 500) };
  const change = await moveInstance(transaction, context.instance.id, described);
  return change === undefined ? [] : [statusEvent(context, change, described)];
}

/** At the end of an operation: tells the next one of the instance that its turn has come. */
async function passTurn(transaction: Queryable, context: InstanceContext, source: string): Promise<OutgoingEvent[]> {
  const next = await nextQueued(transaction, context.instance.id);
  if (next === undefined) return [];
  const data = { operation: next.id, instance: next.instanceId, kind: next.kind, reason: 'Its turn has come.' };
  return [announce(operationAdvance, data, envelope(context, `turn of ${next.id}`, source))];
}

function statusEvent(
  context: InstanceContext,
  change: StatusChange,
  move: { event: InstanceEvent; reason: string; source: string },
): OutgoingEvent {
  const { from, to, generation, customerId } = change;
  const data = { instance: context.instance.id, customer: customerId, from, to, reason: move.reason, generation };
  return announce(statusChanged, data, envelope(context, move.event, move.source));
}

/** Before the first step: the instance starts. Once per round; a second call finds the status moved. */
export async function beginProvision(database: Database, context: InstanceContext, source: string): Promise<void> {
  const event = context.instance.status === 'error' ? 'provision-retried' : 'provision-started';
  if (context.instance.status !== 'creating' && context.instance.status !== 'error') return;
  await inOneTransaction(database, context, async (transaction) => {
    return await moveOn(transaction, context, { event, reason: 'The instance is being made.', source });
  });
}

/** The instance runs; unless a cancel has come first, which then has its way. */
export async function succeedProvision(
  database: Database,
  context: InstanceContext,
  source: string,
): Promise<'succeeded' | 'cancel-requested'> {
  const { instance, operation, publicUrl } = context;
  const { cancelRequested } = await inOneTransaction(database, context, async (transaction, now) => {
    if (now.cancelRequested) return [];
    const seconds = await secondsSinceAccepted(transaction, operation.id);
    await succeedOperation(transaction, leaseOf(context), { url: publicUrl, seconds });
    const told = { instance: instance.id, customer: instance.customerId, operation: operation.id };
    const moved = await moveOn(transaction, context, {
      event: 'provision-finished',
      reason: 'The login page answers.',
      source,
      hasObserved: true,
    });
    await audit(transaction, context, { action: 'provision.succeeded', detail: { seconds } });
    return [
      ...moved,
      ...(await passTurn(transaction, context, source)),
      announce(provisioned, { ...told, url: publicUrl, seconds }, envelope(context, 'provisioned', source)),
      announce(
        notificationRequested,
        { ...told, notification: 'instance-ready' },
        envelope(context, 'notify ready', source),
      ),
    ];
  });
  return cancelRequested ? 'cancel-requested' : 'succeeded';
}

/** The operation stops here, with all it made, until a person says retry or cancel. */
export async function failProvision(
  database: Database,
  context: InstanceContext,
  end: { step: string; failure: Failure; refusesCancel: boolean; source: string },
): Promise<void> {
  const { instance, operation } = context;
  const { failure, source } = end;
  await inOneTransaction(database, context, async (transaction, now) => {
    await failOperation(transaction, leaseOf(context), end);
    // It goes on, to be undone: nobody is told of a failure.
    if (now.cancelRequested && !end.refusesCancel) return await passTurn(transaction, context, source);
    const told = { instance: instance.id, customer: instance.customerId, operation: operation.id };
    const text = oneLine(failure.message, 1_000);
    const moved = await moveOn(transaction, context, { event: 'provision-failed', reason: text, source });
    await audit(transaction, context, {
      action: 'provision.failed',
      detail: { step: end.step, code: failure.code, text },
    });
    const failed = { ...told, name: instance.name, code: failure.code, text };
    return [
      ...moved,
      ...(await passTurn(transaction, context, source)),
      announce(provisionFailed, failed, envelope(context, 'failed', source)),
      announce(
        notificationRequested,
        { ...told, notification: 'instance-failed' },
        envelope(context, 'notify failed', source),
      ),
    ];
  });
}

/** What the operation made is gone; the instance is over and its host free. */
export async function cancelProvision(database: Database, context: InstanceContext, source: string): Promise<void> {
  await inOneTransaction(database, context, async (transaction) => {
    await cancelOperation(transaction, leaseOf(context));
    const moved = await moveOn(transaction, context, {
      event: 'provision-cancelled',
      reason: 'The provisioning was cancelled.',
      source,
    });
    await freeHost(transaction, context.instance.id);
    await audit(transaction, context, { action: 'provision.cancelled', detail: {} });
    return [...moved, ...(await passTurn(transaction, context, source))];
  });
}

async function audit(
  transaction: Queryable,
  context: InstanceContext,
  entry: { action: string; detail: Record<string, unknown> },
): Promise<void> {
  await appendAudit(transaction, {
    actor: 'provision',
    instanceId: context.instance.id,
    operationId: context.operation.id,
    ...entry,
  });
}
