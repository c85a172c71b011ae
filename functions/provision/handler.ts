import { provisionRequested } from '#events/instance/provision-requested.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import type { Authority } from '#shared/runtime/authorise.ts';
import { acceptOperation } from '#shared/runtime/operation/accept.ts';
import {
  type OperationCommandEvent,
  type OperationHandler,
  operationCommands,
} from '#shared/runtime/operation/operation-handler.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import type { Platform } from '#shared/runtime/platform.ts';
import { admitProvision, type ProvisionDefaults } from './admit.ts';

/** The events this function understands. */
export const provisionEvents = [provisionRequested, ...operationCommands] as const;

export type ProvisionHandlerParts = {
  platform: Pick<Platform, 'database' | 'flush'>;
  work: RunnableOperation<InstanceContext>;
  operations: OperationHandler;
  defaults: ProvisionDefaults;
};

/**
 * A request becomes a durable operation, which is then carried as far as it goes; a command acts on one that is there.
 * The answer is the outcome in a word.
 */
export function provisionHandler(parts: ProvisionHandlerParts) {
  return async (event: TypedEvent<(typeof provisionEvents)[number]>, authority: Authority): Promise<string> => {
    if (event.type !== provisionRequested.type) {
      return await parts.operations.command(event as OperationCommandEvent, authority);
    }
    const asked = event as TypedEvent<typeof provisionRequested>;
    if (authority.customerId !== null && authority.customerId !== asked.data.customer) {
      throw new Failure('not-allowed', 'This source may not ask for instances of that customer.');
    }
    return await request(parts, asked);
  };
}

async function request(
  { platform, work, operations, defaults }: ProvisionHandlerParts,
  event: TypedEvent<typeof provisionRequested>,
): Promise<string> {
  const { data } = event;
  const idempotencyKey = data.idempotencykey ?? event.id;
  const instanceId = data.instance ?? deriveInstanceId(event.source, idempotencyKey);
  const accepted = await acceptOperation(platform.database, event, {
    request: {
      kind: 'provision',
      definitionVersion: work.definition.version,
      deadlineMs: work.definition.deadlineMs,
      instanceId,
      idempotencyKey,
      request: data,
    },
    admit: admitProvision(data, instanceId, defaults),
  });
  if (accepted.outcome === 'refused') {
    await platform.flush();
    return 'refused';
  }
  // Whoever holds the lease, the event is done: the way the operation goes is not this delivery's business.
  const went = await operations.goOn(accepted.operationId);
  return accepted.outcome === 'accepted' ? went : accepted.outcome;
}
