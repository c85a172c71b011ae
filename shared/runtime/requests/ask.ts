import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { operationAdvance } from '#events/operation/advance.ts';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { finalBackups } from '#shared/adapters/postgres/final-backups.ts';
import { findVisibleInstance } from '#shared/adapters/postgres/instance-visibility.ts';
import { lockInstanceRequests } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { actorOf, type Principal } from '#shared/domain/access/principal.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { unknownInstance } from '#shared/domain/instance/operation-admission.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import {
  type Accepted,
  type Admit,
  acceptRequest,
  type OperationRequest,
  type RequestEvent,
} from '../operation/accept.ts';
import { type RequestData, requestOnInstance } from './instance-request.ts';
import { askableKinds, type InstanceKind } from './kinds.ts';

/** What asking needs. */
export type Asking = { database: Database; eventSource: string };

/** Who asks, and what his call is known by. */
export type Asker = { principal: Principal; key: string | undefined };

/** Something that is asked of an instance. `data` is what its event would say, without `instance`. */
export type Asked = {
  kind: InstanceKind;
  instanceId: string;
  data: Readonly<Record<string, unknown>>;
  /** Refused unless the instance is at this generation. */
  generation?: number | undefined;
};

/** The operation that a request came to: a new one, or one that answers for it. */
export type AcceptedOperation = {
  id: string;
  instanceId: string;
  kind: OperationKind;
  outcome: 'accepted' | 'repeated' | 'coalesced';
};

/**
 * What is looked at before the transaction, and the rest of the work, to be done in it. A refusal is returned, with what
 * tells of it written; what the caller may not know of is returned with nothing written.
 * @throws Failure `invalid-request`.
 */
export async function prepare(
  asking: Asking,
  asker: Asker,
  asked: Asked,
): Promise<(transaction: Queryable) => Promise<AcceptedOperation | Failure>> {
  const { kind, instanceId } = asked;
  const { customerId } = asker.principal;
  const askable = askableKinds[kind];
  const data = parse(askable.requested.schema, { ...asked.data, instance: instanceId });
  const event = eventOf(asker, askable.requested.type, data);
  const prepared = await requestOnInstance({
    event,
    data,
    authority: { customerId },
    definition: definitionFacts[kind],
    events: askable.events,
    particulars: askable.particulars,
    finalBackups: askable.needsFinalBackup ? finalBackups(asking.database) : undefined,
    eventSource: asking.eventSource,
  });
  return async (transaction) => {
    const hidden = await lockVisible(transaction, asker.principal, asked);
    return hidden ?? (await accept(transaction, { event, ...prepared, eventSource: asking.eventSource }));
  };
}

/** Why the caller cannot ask anything of this instance now; undefined, and it is locked against other requests. */
export async function lockVisible(
  transaction: Queryable,
  { customerId }: Principal,
  { instanceId, generation }: Pick<Asked, 'instanceId' | 'generation'>,
): Promise<Failure | undefined> {
  await lockInstanceRequests(transaction, instanceId);
  const found = await findVisibleInstance(transaction, instanceId, { customerId });
  if (found === undefined) return unknownInstance(instanceId);
  if (generation === undefined || generation === found.generation) return undefined;
  const text = `Instance ${instanceId} is at generation ${found.generation} now. Read it again, then decide.`;
  return new Failure('precondition-failed', text);
}

/** Accepts a request as its function would, and tells that function of it: the operation is its work from then on. */
export async function accept(
  transaction: Queryable,
  {
    event,
    eventSource,
    ...options
  }: { event: RequestEvent; request: OperationRequest; admit: Admit; eventSource: string },
): Promise<AcceptedOperation | Failure> {
  const accepted: Accepted = await acceptRequest(transaction, event, options);
  const { kind, instanceId } = options.request;
  if (accepted.outcome === 'refused') {
    return accepted.refusal ?? new Failure('not-allowed', 'This was refused before.');
  }
  const { operationId: id, outcome } = accepted;
  const command = { operation: id, instance: instanceId, kind, reason: 'It was asked for.' };
  await enqueue(transaction, [
    announce(operationAdvance, command, { id: eventIdOf(id, 'asked for'), source: eventSource }),
  ]);
  return { id, instanceId, kind, outcome: outcome === 'duplicate' ? 'repeated' : outcome };
}

/** What stands for a call where an event would. */
export function eventOf({ principal, key }: Asker, type: string, data: unknown): RequestEvent {
  return { source: actorOf(principal), id: key ?? randomUUID(), type, dataHash: hashOfData(data) };
}

function parse(schema: v.GenericSchema, input: unknown): RequestData {
  const parsed = v.safeParse(schema, input);
  if (parsed.success) return parsed.output as RequestData;
  const [issue] = parsed.issues;
  const field = `body.${v.getDotPath(issue) ?? ''}`.replace(/\.$/, '');
  throw new Failure('invalid-request', `${field}: ${issue.message}`, { facts: { field } });
}
