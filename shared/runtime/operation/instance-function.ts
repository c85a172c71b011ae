import type * as v from 'valibot';
import type { AnyEventDefinition } from '#events/envelope.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { billingStateOf } from '#shared/adapters/postgres/subscriptions.ts';
import { refuseByBilling } from '#shared/domain/billing/gate.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';
import type { FinalBackups, TenantDatabases } from '#shared/domain/instance/ports.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Authority } from '../authorise.ts';
import { eventFunction } from '../event-function.ts';
import type { HttpHandler } from '../http-function.ts';
import type { Platform } from '../platform.ts';
import { acceptOperation, type RequestEvent } from './accept.ts';
import { admitOperation } from './admit-operation.ts';
import { type InstanceOperation, instanceOperation } from './instance-operation.ts';
import { type OperationCommandEvent, operationCommands, operationHandler } from './operation-handler.ts';

/** What the request of any of these operations may say; each kind's schema has its own part of it. */
type RequestData = {
  instance: string;
  idempotencykey?: string | undefined;
  cause?: SuspensionReason | undefined;
  sequence?: number | undefined;
  withoutbackup?: boolean | undefined;
};

/** What is particular about the requests of one kind. */
type Particulars<Data> = {
  /** Which of its kind it is: an unfinished one of another does not answer for it. */
  variantOf?(data: Data): string | null;
  isFinal?(data: Data): boolean;
  /** What its kind has against it, besides the rules that all kinds share. */
  refuse?(transaction: Queryable, data: Data, authority: Authority): Promise<Failure | undefined>;
};

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
    const { data } = event;
    const { customerId } = authority;
    const cause = data.cause ?? null;
    const accepted = await acceptOperation(platform.database, event, {
      request: {
        kind: definition.kind,
        definitionVersion: definition.version,
        deadlineMs: definition.deadlineMs,
        instanceId: data.instance,
        idempotencyKey: data.idempotencykey ?? event.id,
        request: data,
      },
      admit: admitOperation({
        kind: definition.kind,
        instanceId: data.instance,
        event,
        cause,
        sequence: data.sequence,
        customerId,
        billingRefusal: async (transaction) =>
          isGatedByBilling(definition.kind, cause)
            ? refuseByBilling(await billingStateOf(transaction, data.instance))
            : undefined,
        backupRefusal: await backupRefusal(data, parts.finalBackups),
        ...(particulars.variantOf && { variant: particulars.variantOf(data) }),
        ...(particulars.isFinal && { isFinal: particulars.isFinal(data) }),
        ownRefusal: async (transaction) => await particulars.refuse?.(transaction, data, authority),
        events,
        eventSource: platform.eventSource,
      }),
    });
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

/** What makes an instance run. The end of a suspension for abuse says nothing about bills: theirs is another one. */
function isGatedByBilling(kind: OperationKind, cause: SuspensionReason | null): boolean {
  return kind === 'start' || kind === 'restart' || kind === 'undo' || (kind === 'resume' && cause === 'billing');
}

async function backupRefusal(data: RequestData, finalBackups: FinalBackups | undefined): Promise<Failure | undefined> {
  if (finalBackups === undefined || data.withoutbackup === true) return undefined;
  const found = await finalBackups.look(data.instance);
  if (found.isProven) return undefined;
  const text = `${found.reason} To destroy the data of instance ${data.instance} all the same, ask with "withoutbackup": true.`;
  return new Failure('backup-required', text);
}
