import { type CloneRequested, cloneAccepted, cloneFailed } from '#events/instance/clone.ts';
import { insertInstance, readAdmissionFacts } from '#shared/adapters/postgres/admission.ts';
import { findCloneSource, markAsClone } from '#shared/adapters/postgres/clone-records.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { refuseProvision } from '#shared/domain/instance/admission.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { Admission, Admit } from '../operation/accept.ts';

/** Who asks, and the source of the events that answer. */
export type CloneAsker = { customerId: string | null; eventSource: string };

/** Admits a request for a copy: writes the new instance's row, or says why not. Part of the accepting transaction. */
export function admitClone(request: CloneRequested, asker: CloneAsker): Admit {
  return async (transaction, operationId) => {
    const refused = (refusal: Failure, customer: string | null): Admission => ({
      admission: 'refused',
      refusal,
      announce: [refusedEvent(request, { operationId, refusal, customer, source: asker.eventSource })],
    });
    const source = await findCloneSource(transaction, {
      source: request.source,
      backupId: request.backup ?? null,
      customerId: asker.customerId,
    });
    if (source instanceof Failure) return refused(source, null);
    const { instanceId: _source, backupId: _backup, ...taken } = source;
    const planId = request.plan ?? source.planId;
    const wanted = { ...taken, instanceId: request.instance, name: request.name, planId };
    const facts = await readAdmissionFacts(transaction, wanted);
    // An image that is offered to nobody any more is still that of the source, and of the backup.
    const refusal = refuseProvision(wanted, { ...facts, hasImage: true });
    // A wrong setting of ours is no fault of the request: it is delivered again until the setting is mended.
    if (refusal?.code === 'misconfigured') throw refusal;
    if (refusal !== undefined) return refused(refusal, source.customerId);
    const host = `${request.name}.${facts.baseDomain}`;
    const clash = await insertInstance(transaction, { ...wanted, host });
    if (clash !== undefined) return refused(clash, source.customerId);
    await markAsClone(transaction, request.instance, source);
    const data = { instance: request.instance, operation: operationId, customer: source.customerId, kind: 'clone' };
    const envelope = { id: eventIdOf(operationId, 'accepted'), source: asker.eventSource };
    return { admission: 'admitted', announce: [announce(cloneAccepted, data, envelope)] };
  };
}

function refusedEvent(
  { instance }: CloneRequested,
  at: { operationId: string; refusal: Failure; customer: string | null; source: string },
) {
  const { operationId, refusal, customer, source } = at;
  const text = oneLine(refusal.message, 1_000);
  const data = { instance, operation: null, customer, kind: 'clone', code: refusal.code, text };
  return announce(cloneFailed, data, { id: eventIdOf(operationId, 'refused'), source });
}
