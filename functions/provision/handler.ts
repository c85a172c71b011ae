import { provisionRequested } from '#events/instance/provision-requested.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { makingEvents, makingHandler } from '#shared/runtime/making/handler.ts';
import type { OperationHandler } from '#shared/runtime/operation/operation-handler.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import type { Platform } from '#shared/runtime/platform.ts';
import { admitProvision, type ProvisionDefaults } from '#shared/runtime/requests/provision.ts';

/** The events this function understands. */
export const provisionEvents = makingEvents(provisionRequested);

export type ProvisionHandlerParts = {
  platform: Pick<Platform, 'database' | 'flush'>;
  work: RunnableOperation<InstanceContext>;
  operations: OperationHandler;
  defaults: ProvisionDefaults;
};

/** Requests for an instance, and commands to operations of this kind. */
export function provisionHandler({ defaults, ...parts }: ProvisionHandlerParts) {
  return makingHandler<TypedEvent<typeof provisionRequested>>({
    ...parts,
    requested: provisionRequested,
    toRequest({ data, id, source }, { customerId }) {
      if (customerId !== null && customerId !== data.customer) {
        throw new Failure('not-allowed', 'This source may not ask for instances of that customer.');
      }
      const idempotencyKey = data.idempotencykey ?? id;
      const instanceId = data.instance ?? deriveInstanceId(source, idempotencyKey);
      return { instanceId, idempotencyKey, request: data, admit: admitProvision(data, instanceId, defaults) };
    },
  });
}
