import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { billingStateOf } from '#shared/adapters/postgres/subscriptions.ts';
import { refuseByBilling } from '#shared/domain/billing/gate.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';
import type { FinalBackups } from '#shared/domain/instance/ports.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Authority } from '../authorise.ts';
import type { Admit, OperationRequest, RequestEvent } from '../operation/accept.ts';
import { admitOperation } from '../operation/admit-operation.ts';
import type { InstanceOperationEvents } from '../operation/instance-operation.ts';

/** What the request of an operation on an instance may say; each kind's schema has its own part of it. */
export type RequestData = {
  instance: string;
  idempotencykey?: string | undefined;
  cause?: SuspensionReason | undefined;
  sequence?: number | undefined;
  withoutbackup?: boolean | undefined;
};

/** What is particular about the requests of one kind. */
export type Particulars<Data> = {
  /** Which of its kind it is: an unfinished one of another does not answer for it. */
  variantOf?(data: Data): string | null;
  isFinal?(data: Data): boolean;
  /** What its kind has against it, besides the rules that all kinds share. */
  refuse?(transaction: Queryable, data: Data, authority: Authority): Promise<Failure | undefined>;
};

export type AskedOfInstance<Data extends RequestData> = {
  /** What stands for the request: the event, or the call. */
  event: RequestEvent;
  data: Data;
  authority: Authority;
  definition: { kind: OperationKind; version: number; deadlineMs: number };
  events: Pick<InstanceOperationEvents, 'accepted' | 'failed'>;
  particulars?: Particulars<Data>;
  /** Of a purge: who says whether the data may be given up. */
  finalBackups?: FinalBackups | undefined;
  eventSource: string;
};

/** What is to be accepted, and what admits it, of a request on an instance that is there: however it came in. */
export async function requestOnInstance<Data extends RequestData>(
  asked: AskedOfInstance<Data>,
): Promise<{ request: OperationRequest; admit: Admit }> {
  const { event, data, definition, authority, particulars = {} } = asked;
  const cause = data.cause ?? null;
  return {
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
      customerId: authority.customerId,
      billingRefusal: async (transaction) =>
        isGatedByBilling(definition.kind, cause)
          ? refuseByBilling(await billingStateOf(transaction, data.instance))
          : undefined,
      backupRefusal: await backupRefusal(data, asked.finalBackups),
      ...(particulars.variantOf && { variant: particulars.variantOf(data) }),
      ...(particulars.isFinal && { isFinal: particulars.isFinal(data) }),
      ownRefusal: async (transaction) => await particulars.refuse?.(transaction, data, authority),
      events: asked.events,
      eventSource: asked.eventSource,
    }),
  };
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
