import type { InferData } from '#events/envelope.ts';
import type { OperationSucceededData, operationEvents } from '#events/instance/operation-events.ts';
import { notificationRequested } from '#events/notification/requested.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { markObserved, readInstance } from '#shared/adapters/postgres/instance-records.ts';
import {
  cancelOperation,
  failOperation,
  secondsSinceAccepted,
  succeedOperation,
} from '#shared/adapters/postgres/operation-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import { type Instance, isMade } from '#shared/domain/instance/instance.ts';
import type { TenantDatabases } from '#shared/domain/instance/ports.ts';
import { type InstanceEvent, statusAfter } from '#shared/domain/instance/transitions.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { OperationDefinition } from '#shared/domain/operation/step.ts';
import { auditEnd, envelopeOf, leaseOf, moveOn, passTurn, underLease } from './ends.ts';
import type { RunnableOperation } from './run.ts';

/** The events of one kind of operation on an instance that is there already. */
export type InstanceOperationEvents = ReturnType<typeof operationEvents>;

type Notification = InferData<typeof notificationRequested>['notification'];

/** What tells one kind of operation from another, besides its steps. */
export type InstanceOperation = {
  definition: OperationDefinition<InstanceContext>;
  events: Pick<InstanceOperationEvents, 'accepted' | 'failed'>;
  /** The event of its success; of one that says more than the others do, made in the transaction that ends it well. */
  succeeded: InstanceOperationEvents['succeeded'] | TellSuccess;
  /** Moves of the status; a kind without one leaves it alone then. */
  moves: { began?: InstanceEvent; finished?: InstanceEvent; failed?: InstanceEvent };
  /**
   * It changes nothing about the instance: what is wanted meanwhile does not make its work void, and its end does not say
   * that what is wanted is there.
   */
  leavesInstanceAlone?: true;
  /** Does the row still want what this kind does? If not its steps do nothing, and it ends as `superseded`. */
  isStillWanted(instance: Instance): boolean;
  /** What the customer is told when it is done. */
  notificationOf?(instance: Instance): Notification | undefined;
  /** Part of the transaction that ends it well. */
  onSuccess?(transaction: Queryable, context: InstanceContext): Promise<void>;
  /** Why a cancel comes too late, of a kind that can be undone. It is asked again until it answers. */
  objectToCancel?(context: InstanceContext): Promise<Failure | undefined>;
  /** As `RunnableOperation` has it. A retry of an operation that was released begins at the first step. */
  release?(context: InstanceContext, why: Failure): Promise<void>;
  /** Part of the transaction that ends it otherwise. */
  onOtherEnd?(transaction: Queryable, context: InstanceContext, why: Failure): Promise<void>;
};

type TellSuccess = (
  transaction: Queryable,
  context: InstanceContext,
  said: { data: OperationSucceededData; envelope: ReturnType<typeof envelopeOf> },
) => Promise<OutgoingEvent>;

/** How an operation on an instance ended well. */
export type InstanceOperationResult = 'done' | 'nothing-to-do' | 'superseded';

/** An operation on an instance that is there, as the runner carries it out. */
export function instanceOperation(
  database: Database,
  kind: InstanceOperation,
  { eventSource, databases }: { eventSource: string; databases: Pick<TenantDatabases, 'takeOver'> },
): RunnableOperation<InstanceContext> {
  return {
    definition: kind.definition,
    async load(operation) {
      const { instance, publicUrl } = await readInstance(database, operation.instanceId);
      const loadedAtMs = performance.now();
      const context: InstanceContext = { operation, instance, publicUrl, credentials: undefined, loadedAtMs };
      if (!operation.cancelRequested) await begin(database, kind, { context, eventSource });
      return context;
    },
    async takeOver(context) {
      const server = context.instance.databaseServer;
      if (server !== null) await databases.takeOver(server, fencedOf(context));
    },
    succeed: (context) => succeed(database, kind, { context, eventSource }),
    fail: (context, end) => fail(database, kind, { context, eventSource, ...end }),
    // One of another kind has nothing to undo; a person's cancel never gets here.
    objectToCancel: async (context) =>
      kind.definition.cancel === 'undoes'
        ? await kind.objectToCancel?.(context)
        : new Failure(
            'not-allowed',
            `An operation of kind ${kind.definition.kind} is not undone. Ask for the opposite.`,
          ),
    cancel: (context, end) => endEarly(database, kind, { context, eventSource, ...end }),
    ...(kind.release && { release: kind.release }),
  };
}

type Work = { context: InstanceContext; eventSource: string };

/** Before the first step of a lease; a second call finds the status moved. */
async function begin(database: Database, kind: InstanceOperation, { context, eventSource }: Work): Promise<void> {
  const { instance } = context;
  const event = kind.moves.began;
  if (event === undefined || statusAfter(instance.status, event, instance) === undefined) return;
  await underLease(database, context, async (transaction) => {
    return await moveOn(transaction, context, { event, reason: `${sentence(kind)} has begun.`, source: eventSource });
  });
}

function sentence({ definition }: InstanceOperation): string {
  return `The ${definition.kind}`;
}

async function succeed(
  database: Database,
  kind: InstanceOperation,
  { context, eventSource }: Work,
): Promise<'succeeded' | 'requested' | 'overtaken'> {
  const cancel = await underLease(database, context, async (transaction, now) => {
    if (now !== 'none') return [];
    // As the row is now: it may have been told something else while the last steps ran.
    const { instance, publicUrl } = await readInstance(transaction, context.instance.id);
    const result = outcomeOf(kind, { instance, generation: context.operation.generation });
    const seconds = await secondsSinceAccepted(transaction, context.operation.id);
    await succeedOperation(transaction, leaseOf(context), { result, seconds });
    const moved = result === 'done' ? await finish(transaction, kind, { context, eventSource }) : [];
    if (result === 'done') await kind.onSuccess?.(transaction, context);
    // One that was never made does not become so by its end.
    if (result === 'done' && isMade(instance) && !kind.leavesInstanceAlone)
      await markObserved(transaction, instance.id, instance.generation);
    await auditEnd(transaction, context, { end: 'succeeded', detail: { seconds, result } });
    const url = instance.host === '' ? null : publicUrl;
    const data = { ...told(context), kind: kind.definition.kind, seconds, url, result };
    const envelope = envelopeOf(context, 'succeeded', eventSource);
    return [
      ...moved,
      ...(await passTurn(transaction, context, eventSource)),
      typeof kind.succeeded === 'function'
        ? await kind.succeeded(transaction, context, { data, envelope })
        : announce(kind.succeeded, data, envelope),
      ...(result === 'done' ? notice(kind.notificationOf?.(instance), { context, eventSource }) : []),
    ];
  });
  return cancel === 'none' ? 'succeeded' : cancel;
}

/** What was wanted since is for those that wait for their turn: nothing of it is announced, or counted as done, before. */
function outcomeOf(
  kind: InstanceOperation,
  { instance, generation }: { instance: Instance; generation: number },
): InstanceOperationResult {
  if (!isMade(instance) && instance.desiredState !== 'terminated') return 'nothing-to-do';
  const isLast = instance.generation === generation || kind.leavesInstanceAlone === true;
  return isLast && kind.isStillWanted(instance) ? 'done' : 'superseded';
}

async function finish(
  transaction: Queryable,
  kind: InstanceOperation,
  { context, eventSource }: Work,
): Promise<readonly OutgoingEvent[]> {
  const event = kind.moves.finished;
  if (event === undefined) return [];
  return await moveOn(transaction, context, { event, reason: `${sentence(kind)} is done.`, source: eventSource });
}

function told({ instance, operation }: InstanceContext) {
  return { instance: instance.id, customer: instance.customerId, operation: operation.id };
}

function notice(notification: Notification | undefined, { context, eventSource }: Work): readonly OutgoingEvent[] {
  if (notification === undefined) return [];
  const data = { ...told(context), notification };
  return [announce(notificationRequested, data, envelopeOf(context, 'notify', eventSource))];
}

async function fail(
  database: Database,
  kind: InstanceOperation,
  {
    context,
    eventSource,
    step,
    failure,
    refusesCancel,
  }: Work & { step: string; failure: Failure; refusesCancel: boolean },
): Promise<void> {
  await underLease(database, context, async (transaction, now) => {
    const fromStart = kind.release !== undefined;
    await failOperation(transaction, leaseOf(context), { failure, refusesCancel, fromStart });
    await kind.onOtherEnd?.(transaction, context, failure);
    // It ends in favour of the one that overtakes it: nobody is told of a failure.
    if (now !== 'none' && !refusesCancel) return await passTurn(transaction, context, eventSource);
    const text = oneLine(failure.message, 1_000);
    const event = kind.moves.failed;
    const moved =
      event === undefined ? [] : await moveOn(transaction, context, { event, reason: text, source: eventSource });
    await auditEnd(transaction, context, { end: 'failed', detail: { step, code: failure.code, text } });
    const data = { ...told(context), kind: kind.definition.kind, code: failure.code, text };
    return [
      ...moved,
      ...(await passTurn(transaction, context, eventSource)),
      announce(kind.events.failed, data, envelopeOf(context, 'failed', eventSource)),
    ];
  });
}

/** A later operation has overtaken it and takes the instance from here, or a person has cancelled it. */
async function endEarly(
  database: Database,
  kind: InstanceOperation,
  { context, eventSource, isOvertaken }: Work & { isOvertaken: boolean },
): Promise<void> {
  await underLease(database, context, async (transaction) => {
    await cancelOperation(transaction, leaseOf(context));
    const why = isOvertaken ? overtakenText : cancelledText;
    await kind.onOtherEnd?.(transaction, context, new Failure(isOvertaken ? 'superseded' : 'cancelled', why));
    await auditEnd(transaction, context, { end: isOvertaken ? 'overtaken' : 'cancelled', detail: {} });
    const data = { ...told(context), kind: kind.definition.kind };
    return [
      ...(await passTurn(transaction, context, eventSource)),
      isOvertaken
        ? overtakenEvent(kind.events.failed, data, eventSource)
        : announce(
            kind.events.failed,
            { ...data, code: 'cancelled', text: cancelledText },
            envelopeOf(context, 'cancelled', eventSource),
          ),
    ];
  });
}

const overtakenText = 'A later operation has taken its place.';
const cancelledText = 'It was cancelled.';

/** What the requester of an operation is told that a later one has overtaken. Once per operation. */
export function overtakenEvent(
  definition: InstanceOperationEvents['failed'],
  told: { instance: string; customer: string; operation: string; kind: string },
  source: string,
): OutgoingEvent {
  const data = { ...told, code: 'superseded', text: overtakenText };
  return announce(definition, data, { id: eventIdOf(told.operation, 'overtaken'), source });
}
