import type * as v from 'valibot';
import type { AnyEventDefinition } from '#events/envelope.ts';
import type { FinalBackups, TenantDatabases } from '#shared/domain/instance/ports.ts';
import type { Authority } from '../authorise.ts';
import { eventFunction } from '../event-function.ts';
import type { HttpHandler } from '../http-function.ts';
import type { Platform } from '../platform.ts';
import { type Particulars, type RequestData, requestOnInstance } from '../requests/instance-request.ts';
import { acceptOperation, type RequestEvent } from './accept.ts';
import { type InstanceOperation, instanceOperation } from './instance-operation.ts';
import { type OperationCommandEvent, operationCommands, operationHandler } from './operation-handler.ts';

type RequestedEvent<Data extends RequestData> = AnyEventDefinition & {
  readonly schema: v.GenericSchema<unknown, Data>;
};

export type InstanceFunctionParts<Data extends RequestData> = {
  kind: InstanceOperation;
  requested: RequestedEvent<Data>;
  particulars?: Particulars<Data>;
  databases: Pick<TenantDatabases, 'takeOver'>;
  timing: { leaseMs: number; budgetMs: number };
  /** Of a purge: who says whether the data may be given up. */
  finalBackups?: FinalBackups;
};

/**
 * The function of one kind of operation on an instance that is there. A request becomes a durable operation, which is then
 * carried as far as it goes; a command acts on one that is there. The answer is the outcome in a word.
 */
export function instanceFunction<Data extends RequestData>(
  platform: Platform,
  parts: InstanceFunctionParts<Data>,
): HttpHandler {
  const work = instanceOperation(platform.database, parts.kind, { ...platform, databases: parts.databases });
  const operations = operationHandler(platform, work, parts.timing);
  const { definition, events } = parts.kind;
  const { particulars = {} } = parts;

  async function request(event: RequestEvent & { data: Data }, authority: Authority): Promise<string> {
    const accepted = await acceptOperation(
      platform.database,
      event,
      await requestOnInstance({
        event,
        data: event.data,
        authority,
        definition,
        events,
        particulars,
        finalBackups: parts.finalBackups,
        eventSource: platform.eventSource,
      }),
    );
    if (accepted.outcome === 'refused') {
      await platform.flush();
      return 'refused';
    }
    // Whoever holds the lease, the event is done: the way the operation goes is not this delivery's business.
    const went = await operations.goOn(accepted.operationId);
    return accepted.outcome === 'accepted' ? went : accepted.outcome;
  }

  return eventFunction({
    ...platform.eventFunctionParts,
    metrics: platform.metrics,
    definitions: [parts.requested, ...operationCommands] as readonly AnyEventDefinition[],
    handle: async (event, authority) =>
      event.type === parts.requested.type
        ? await request(event as RequestEvent & { data: Data }, authority)
        : await operations.command(event as OperationCommandEvent, authority),
  });
}
