import { failedEventOf } from '#events/instance/operation-events.ts';
import { provisionFailed } from '#events/instance/provision-failed.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import {
  advanceStream,
  applyIntent,
  type LockedInstance,
  lockInstance,
  overtake,
} from '#shared/adapters/postgres/instance-facts.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';
import { intentOf } from '#shared/domain/instance/intent.ts';
import { refuseOperation, unknownInstance } from '#shared/domain/instance/operation-admission.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { type Queueing, queue, queueLimit, type UnfinishedOperation } from '#shared/domain/operation/queueing.ts';
import type { Admission, Admit, RequestEvent } from './accept.ts';
import { type InstanceOperationEvents, overtakenEvent } from './instance-operation.ts';

/** A request for an operation on an instance, with all that decides about it besides the records. */
export type InstanceRequest = {
  kind: OperationKind;
  instanceId: string;
  event: RequestEvent;
  cause: SuspensionReason | null;
  /** Which of its kind it is, such as a backup's own kind: another one does not answer for it. */
  variant?: string | null;
  /** Of a backup: is it the final one? */
  isFinal?: boolean;
  /** The source's own order of suspends and resumes of this instance; undefined when it keeps none. */
  sequence: number | undefined;
  /** The source speaks for this customer only. Null: for everybody. */
  customerId: string | null;
  /** Reads, in the transaction, why the customer's bills keep the instance from running. */
  billingRefusal(transaction: Queryable): Promise<Failure | undefined>;
  backupRefusal: Failure | undefined;
  /** What else its kind has against it, read in the transaction. */
  ownRefusal?(transaction: Queryable): Promise<Failure | undefined>;
  events: Pick<InstanceOperationEvents, 'accepted' | 'failed'>;
  eventSource: string;
};

/**
 * Admits a request, as part of the transaction that accepts it: writes what is wanted from now on, and settles what
 * becomes of the instance's unfinished operations; or says why not.
 */
export function admitOperation(request: InstanceRequest): Admit {
  return async (transaction, operationId) => {
    const locked = await lockInstance(transaction, request);
    // The same answer for both: whose instances there are is nobody else's business.
    const isOthers = request.customerId !== null && locked?.facts.customerId !== request.customerId;
    if (locked === undefined || isOthers) {
      return refused(request, operationId, { refusal: unknownInstance(request.instanceId), customer: null });
    }
    const decided = await decide(transaction, request, locked);
    if (decided instanceof Failure) {
      return refused(request, operationId, { refusal: decided, customer: locked.facts.customerId });
    }
    const { customerId } = locked.facts;
    // What it wants is wanted already.
    if (decided.decision === 'coalesce') {
      const answering = decided.with.id;
      return {
        admission: 'coalesced',
        operationId: answering,
        announce: [accepted(request, { operationId: answering, customerId, id: eventIdOf(operationId, 'coalesced') })],
      };
    }
    const by = { instanceId: request.instanceId, operationId, cause: request.event.id };
    await applyIntent(transaction, intentOf(request.kind, locked.wish, request.cause), by);
    const begun = await overtake(transaction, decided.overtakes, by);
    await auditOvertaken(transaction, request, { unbegun: decided.overtakes.filter((one) => !begun.includes(one)) });
    return {
      admission: 'admitted',
      announce: [
        accepted(request, { operationId, customerId, id: eventIdOf(operationId, 'accepted') }),
        ...decided.overtakes.flatMap((one) =>
          tellOvertaken(request, { one, begun: begun.includes(one), customerId, name: locked.name }),
        ),
      ],
    };
  };
}

async function decide(
  transaction: Queryable,
  request: InstanceRequest,
  { facts, unfinished }: LockedInstance,
): Promise<Exclude<Queueing, { decision: 'refuse' }> | Failure> {
  // Noted whatever becomes of the request: the resume that finds nothing to resume makes the late suspend old, too.
  if (await isOldNews(transaction, request)) return superseded(request);
  const { kind, cause, variant = cause } = request;
  const queueing = queue({ kind, cause: variant }, unfinished);
  // What is asked for is under way: no rule can object to it any more.
  if (queueing.decision !== 'coalesce') {
    const billingRefusal = await request.billingRefusal(transaction);
    const refusal = refuseOperation({ ...request, billingRefusal }, facts) ?? (await request.ownRefusal?.(transaction));
    if (refusal !== undefined) return refusal;
  }
  return queueing.decision === 'refuse' ? notNow(request, queueing.because) : queueing;
}

function notNow({ kind, instanceId }: InstanceRequest, because: UnfinishedOperation | 'queue-full'): Failure {
  if (because === 'queue-full') {
    const text = `Instance ${instanceId} has ${queueLimit} operations waiting. Ask again when some have ended.`;
    return new Failure('too-many-operations', text);
  }
  const text = `Instance ${instanceId} has an unfinished ${because.kind}, operation ${because.id}: no ${kind} beside it.`;
  return new Failure('not-allowed', text);
}

async function isOldNews(transaction: Queryable, { event, instanceId, sequence }: InstanceRequest): Promise<boolean> {
  if (sequence === undefined) return false;
  const at = { source: event.source, stream: `suspensions of ${instanceId}`, sequence };
  return !(await advanceStream(transaction, at));
}

function superseded({ instanceId, sequence }: InstanceRequest): Failure {
  const text = `Sequence ${sequence} is not newer than what this source has said about instance ${instanceId} before.`;
  return new Failure('superseded', text);
}

function accepted(
  { instanceId, kind, events, eventSource }: InstanceRequest,
  { operationId, customerId, id }: { operationId: string; customerId: string; id: string },
): OutgoingEvent {
  const data = { instance: instanceId, operation: operationId, customer: customerId, kind };
  return announce(events.accepted, data, { id, source: eventSource });
}

/** One that never had its turn is over with this transaction: nobody else will write down its end. */
async function auditOvertaken(
  transaction: Queryable,
  { instanceId, kind }: InstanceRequest,
  { unbegun }: { unbegun: readonly UnfinishedOperation[] },
): Promise<void> {
  for (const one of unbegun) {
    const entry = { actor: one.kind, action: `${one.kind}.overtaken`, instanceId, operationId: one.id };
    await appendAudit(transaction, { ...entry, detail: { by: kind } });
  }
}

/** One that is at work is told to look at its row; one that never had its turn is over. */
function tellOvertaken(
  { instanceId, kind, eventSource }: InstanceRequest,
  { one, begun, customerId, name }: { one: UnfinishedOperation; begun: boolean; customerId: string; name: string },
): readonly OutgoingEvent[] {
  if (begun) {
    const data = { operation: one.id, instance: instanceId, kind: one.kind, reason: `A ${kind} overtakes it.` };
    return [announce(operationAdvance, data, { id: eventIdOf(one.id, `overtaken by a ${kind}`), source: eventSource })];
  }
  const told = { instance: instanceId, customer: customerId, operation: one.id, kind: one.kind };
  const failed = failedEventOf(one.kind);
  if (failed !== undefined) return [overtakenEvent(failed, told, eventSource)];
  const { kind: _kind, ...data } = told;
  const text = 'A later operation has taken its place.';
  const envelope = { id: eventIdOf(one.id, 'overtaken'), source: eventSource };
  return [announce(provisionFailed, { ...data, name, code: 'superseded', text }, envelope)];
}

function refused(
  { instanceId, kind, events, eventSource }: InstanceRequest,
  operationId: string,
  { refusal, customer }: { refusal: Failure; customer: string | null },
): Admission {
  const text = oneLine(refusal.message, 1_000);
  const data = { instance: instanceId, operation: null, customer, kind, code: refusal.code, text };
  const envelope = { id: eventIdOf(operationId, 'refused'), source: eventSource };
  return { admission: 'refused', refusal, announce: [announce(events.failed, data, envelope)] };
}
