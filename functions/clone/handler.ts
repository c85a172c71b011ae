import { cloneRequested } from '#events/instance/clone.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { type MakingHandlerParts, makingEvents, makingHandler } from '#shared/runtime/making/handler.ts';
import { admitClone } from '#shared/runtime/requests/clone.ts';

/** The events this function understands. */
export const cloneEvents = makingEvents(cloneRequested);

type CloneEvent = TypedEvent<typeof cloneRequested>;

/** Requests for copies, and commands to operations of this kind. Whose instance may be copied is asked with the source. */
export function cloneHandler({
  eventSource,
  ...parts
}: Pick<MakingHandlerParts<CloneEvent>, 'platform' | 'work' | 'operations'> & { eventSource: string }) {
  return makingHandler<CloneEvent>({
    ...parts,
    requested: cloneRequested,
    toRequest: ({ data, id }, { customerId }) => ({
      instanceId: data.instance,
      idempotencyKey: data.idempotencykey ?? id,
      request: data,
      admit: admitClone(data, { customerId, eventSource }),
    }),
  });
}
