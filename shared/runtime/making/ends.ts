import { notificationRequested } from '#events/notification/requested.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { endUnmade, markObserved, readInstance } from '#shared/adapters/postgres/instance-records.ts';
import {
  cancelOperation,
  failOperation,
  secondsSinceAccepted,
  succeedOperation,
} from '#shared/adapters/postgres/operation-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import { auditEnd, envelopeOf, leaseOf, moveOn, passTurn, underLease } from '../operation/ends.ts';
import type { Making } from './making.ts';

/** The way an instance is made, and the source its events have. */
type How = { making: Making; source: string };

/** Before the first step: the instance starts. Once per round; a second call finds the status moved. */
export async function beginMaking(database: Database, context: InstanceContext, source: string): Promise<void> {
  const event = context.instance.status === 'error' ? 'provision-retried' : 'provision-started';
  if (context.instance.status !== 'creating' && context.instance.status !== 'error') return;
  await underLease(database, context, async (transaction) => {
    return await moveOn(transaction, context, { event, reason: 'The instance is being made.', source });
  });
}

/** The instance runs; unless a cancel has come first, which then has its way. */
export async function succeedMaking(
  database: Database,
  context: InstanceContext,
  { making, source }: How,
): Promise<'succeeded' | 'requested' | 'overtaken'> {
  const { instance, operation, publicUrl } = context;
  const cancel = await underLease(database, context, async (transaction, now) => {
    if (now !== 'none') return [];
    const seconds = await secondsSinceAccepted(transaction, operation.id);
    await succeedOperation(transaction, leaseOf(context), { url: publicUrl, seconds });
    const told = { instance: instance.id, customer: instance.customerId, operation: operation.id };
    const row = await readInstance(transaction, instance.id);
    // A stop or suspension that was accepted meanwhile waits for its turn: what it wants is not there yet.
    const isLast = row.instance.generation === operation.generation;
    const finished = { event: 'provision-finished', reason: 'The login page answers.', source } as const;
    const moved = isLast ? await moveOn(transaction, context, finished) : [];
    await markObserved(transaction, instance.id, operation.generation);
    await auditEnd(transaction, context, { end: 'succeeded', detail: { seconds } });
    return [
      ...moved,
      ...(await passTurn(transaction, context, source)),
      making.succeeded(context, { seconds }, envelopeOf(context, 'provisioned', source)),
      announce(
        notificationRequested,
        { ...told, notification: 'instance-ready' },
        envelopeOf(context, 'notify ready', source),
      ),
    ];
  });
  return cancel === 'none' ? 'succeeded' : cancel;
}

/** The operation stops here, with all it made, until a person says retry or cancel. */
export async function failMaking(
  database: Database,
  context: InstanceContext,
  { making, source, ...end }: How & { step: string; firstStep: string; failure: Failure; refusesCancel: boolean },
): Promise<void> {
  const { instance, operation } = context;
  const { failure } = end;
  await underLease(database, context, async (transaction, now) => {
    await failOperation(transaction, leaseOf(context), {
      failure,
      refusesCancel: end.refusesCancel,
      ...(making.release !== undefined && { restartAt: end.firstStep }),
    });
    await making.onOtherEnd?.(transaction, context, failure);
    // It goes on, to be undone: nobody is told of a failure.
    if (now !== 'none' && !end.refusesCancel) return await passTurn(transaction, context, source);
    const told = { instance: instance.id, customer: instance.customerId, operation: operation.id };
    const text = oneLine(failure.message, 1_000);
    const moved = await moveOn(transaction, context, { event: 'provision-failed', reason: text, source });
    await auditEnd(transaction, context, {
      end: 'failed',
      detail: { step: end.step, code: failure.code, text },
    });
    return [
      ...moved,
      ...(await passTurn(transaction, context, source)),
      making.failed(context, { code: failure.code, text }, envelopeOf(context, 'failed', source)),
      announce(
        notificationRequested,
        { ...told, notification: 'instance-failed' },
        envelopeOf(context, 'notify failed', source),
      ),
    ];
  });
}

/**
 * What the operation made is gone; the instance is over and its host free. One that was overtaken by a termination made
 * what that takes away.
 */
export async function cancelMaking(
  database: Database,
  context: InstanceContext,
  { making, source, isOvertaken }: How & { isOvertaken: boolean },
): Promise<void> {
  await underLease(database, context, async (transaction) => {
    await cancelOperation(transaction, leaseOf(context));
    await making.onOtherEnd?.(transaction, context, whyEnded(isOvertaken));
    if (isOvertaken) {
      await auditEnd(transaction, context, { end: 'overtaken', detail: {} });
      return [...(await passTurn(transaction, context, source)), overtakenEvent(context, { making, source })];
    }
    const moved = await moveOn(transaction, context, {
      event: 'provision-cancelled',
      reason: 'The making of the instance was cancelled.',
      source,
    });
    await endUnmade(transaction, context.instance.id);
    await auditEnd(transaction, context, { end: 'cancelled', detail: {} });
    return [...moved, ...(await passTurn(transaction, context, source))];
  });
}

function whyEnded(isOvertaken: boolean): Failure {
  return isOvertaken
    ? new Failure('superseded', 'A later operation has ended the making of the instance.')
    : new Failure('cancelled', 'The making of the instance was cancelled.');
}

function overtakenEvent(context: InstanceContext, { making, source }: How) {
  const { code, message: text } = whyEnded(true);
  return making.failed(context, { code, text }, { id: eventIdOf(context.operation.id, 'overtaken'), source });
}
