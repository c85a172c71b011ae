import { importRequested } from '#events/instance/import.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type MakingHandlerParts, makingEvents, makingHandler } from '#shared/runtime/making/handler.ts';
import { admitImport, type ImportDefaults } from './admit.ts';

/** The events this function understands. */
export const importEvents = makingEvents(importRequested);

type ImportEvent = TypedEvent<typeof importRequested>;

/** Requests for imports, and commands to operations of this kind. */
export function importHandler({
  defaults,
  ...parts
}: Pick<MakingHandlerParts<ImportEvent>, 'platform' | 'work' | 'operations'> & { defaults: ImportDefaults }) {
  return makingHandler<ImportEvent>({
    ...parts,
    requested: importRequested,
    toRequest({ data, id }, { customerId }) {
      if (customerId !== null && customerId !== data.customer) {
        throw new Failure('not-allowed', 'This source may not ask for instances of that customer.');
      }
      return {
        instanceId: data.instance,
        idempotencyKey: data.idempotencykey ?? id,
        request: data,
        admit: admitImport(data, defaults),
      };
    },
  });
}
