import type { AnyEventDefinition } from '#events/envelope.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Authority } from '../authorise.ts';
import { type Admit, acceptOperation, type RequestEvent } from '../operation/accept.ts';
import {
  type OperationCommandEvent,
  type OperationHandler,
  operationCommands,
} from '../operation/operation-handler.ts';
import type { RunnableOperation } from '../operation/run.ts';
import type { Platform } from '../platform.ts';

/** What a request comes to. */
export type MakingRequest = { instanceId: string; idempotencyKey: string; request: unknown; admit: Admit };

export type MakingHandlerParts<Event extends RequestEvent> = {
  platform: Pick<Platform, 'database' | 'flush'>;
  work: RunnableOperation<InstanceContext>;
  operations: OperationHandler;
  requested: AnyEventDefinition;
  /** @throws Failure when the event's source may not ask for it. */
  toRequest(event: Event, authority: Authority): MakingRequest;
};

/** The events such a function understands. */
export function makingEvents<Requested extends AnyEventDefinition>(requested: Requested) {
  return [requested, ...operationCommands] as const;
}

/**
 * A request becomes a durable operation, which is then carried as far as it goes; a command acts on one that is there.
 * The answer is the outcome in a word.
 */
export function makingHandler<Event extends RequestEvent>(parts: MakingHandlerParts<Event>) {
  return async (event: Event | OperationCommandEvent, authority: Authority): Promise<string> =>
    event.type === parts.requested.type
      ? await request(parts, parts.toRequest(event as Event, authority), event as Event)
      : await parts.operations.command(event as OperationCommandEvent, authority);
}

async function request<Event extends RequestEvent>(
  { platform, work, operations }: MakingHandlerParts<Event>,
  { admit, ...asked }: MakingRequest,
  event: Event,
): Promise<string> {
  const { kind, version: definitionVersion, deadlineMs } = work.definition;
  const accepted = await acceptOperation(platform.database, event, {
    request: { kind: kind as OperationKind, definitionVersion, deadlineMs, ...asked },
    admit,
  });
  if (accepted.outcome === 'refused') {
    await platform.flush();
    return 'refused';
  }
  // Whoever holds the lease, the event is done: the way the operation goes is not this delivery's business.
  const went = await operations.goOn(accepted.operationId);
  return accepted.outcome === 'accepted' ? went : accepted.outcome;
}
