import { type CloneRequested, cloneRequested } from '#events/instance/clone.ts';
import { type ProvisionRequested, provisionRequested } from '#events/instance/provision-requested.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { lockInstanceRequests } from '#shared/adapters/postgres/operation-requests.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { Admit, OperationRequest } from '../operation/accept.ts';
import { type AcceptedOperation, type Asker, accept, eventOf, lockVisible } from './ask.ts';
import { admitClone } from './clone.ts';
import { admitProvision, type ProvisionDefaults } from './provision.ts';

/** What a caller wants made; the id is the platform's to give. */
export type WantedProvision = Omit<ProvisionRequested, 'instance' | 'idempotencykey' | 'customer'> & {
  /** The caller's own unless stated. */
  customer?: string | undefined;
};
export type WantedClone = Omit<CloneRequested, 'instance' | 'idempotencykey'>;

type Made = (transaction: Queryable) => Promise<AcceptedOperation | Failure>;

/** A new instance. @throws Failure `forbidden`, `invalid-request`. */
export function prepareProvision(asker: Asker, wanted: WantedProvision, defaults: ProvisionDefaults): Made {
  const data = { ...wanted, customer: customerOf(asker, wanted.customer) };
  const event = eventOf(asker, provisionRequested.type, data);
  const instanceId = deriveInstanceId(actorOf(asker.principal), event.id);
  const admit = admitProvision(data, instanceId, defaults);
  const request = requestOf('provision', { instanceId, key: event.id, data });
  return (transaction) => accept(transaction, { event, request, admit, eventSource: defaults.eventSource });
}

/** A copy of an instance the caller may name. */
export function prepareClone(asker: Asker, wanted: WantedClone, { eventSource }: { eventSource: string }): Made {
  const key = eventOf(asker, cloneRequested.type, wanted).id;
  const instanceId = deriveInstanceId(actorOf(asker.principal), key);
  const data = { ...wanted, instance: instanceId };
  const event = { ...eventOf(asker, cloneRequested.type, data), id: key };
  const admit: Admit = admitClone(data, { customerId: asker.principal.customerId, eventSource });
  const request = requestOf('clone', { instanceId, key, data });
  return async (transaction) => {
    // The new one first, as the function does it.
    await lockInstanceRequests(transaction, instanceId);
    const hidden = await lockVisible(transaction, asker.principal, { instanceId: wanted.source });
    return hidden ?? (await accept(transaction, { event, request, admit, eventSource }));
  };
}

function requestOf(
  kind: 'provision' | 'clone',
  { instanceId, key, data }: { instanceId: string; key: string; data: unknown },
): OperationRequest {
  const { version, deadlineMs } = definitionFacts[kind];
  return { kind, definitionVersion: version, deadlineMs, instanceId, idempotencyKey: key, request: data };
}

function customerOf({ principal }: Asker, wanted: string | undefined): string {
  if (principal.customerId === null) {
    if (wanted !== undefined) return wanted;
    const text = 'body.customer: must be stated, since you speak for no customer of your own';
    throw new Failure('invalid-request', text, { facts: { field: 'body.customer' } });
  }
  if (wanted === undefined || wanted === principal.customerId) return principal.customerId;
  throw new Failure('forbidden', 'You may not ask for instances of that customer.', {
    facts: { field: 'body.customer' },
  });
}
