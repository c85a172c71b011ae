import type { OperationAcceptedData, operationEvents } from '#events/instance/operation-events.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';

type Envelope = { id: string; source: string; causationId?: string };

/** What tells one way of making an instance from another, besides its steps: what it says, and its own records' ends. */
export type Making = {
  /** The event of its success. */
  succeeded(context: InstanceContext, end: { seconds: number }, envelope: Envelope): OutgoingEvent;
  /** The event that says that it failed, or that a later operation has ended it. */
  failed(context: InstanceContext, end: { code: string; text: string }, envelope: Envelope): OutgoingEvent;
  /** Part of the transaction that ends it otherwise than well. */
  onOtherEnd?(transaction: Queryable, context: InstanceContext, why: Failure): Promise<void>;
  /** What it has to give back before it may end otherwise than well; as `RunnableOperation` has it. */
  release?(context: InstanceContext, why: Failure): Promise<void>;
};

/** The events of a way that tells as operations on an existing instance do: clone, import. */
export function makingOf(
  kind: OperationAcceptedData['kind'],
  events: Pick<ReturnType<typeof operationEvents>, 'succeeded' | 'failed'>,
): Pick<Making, 'succeeded' | 'failed'> {
  const told = ({ instance, operation }: InstanceContext) => ({
    instance: instance.id,
    operation: operation.id,
    customer: instance.customerId,
    kind,
  });
  return {
    succeeded: (context, { seconds }, envelope) =>
      announce(events.succeeded, { ...told(context), seconds, url: context.publicUrl, result: 'done' }, envelope),
    failed: (context, end, envelope) => announce(events.failed, { ...told(context), ...end }, envelope),
  };
}
