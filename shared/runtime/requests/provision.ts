import type { InferData } from '#events/envelope.ts';
import { provisionAccepted } from '#events/instance/provision-accepted.ts';
import { provisionFailed } from '#events/instance/provision-failed.ts';
import type { provisionRequested } from '#events/instance/provision-requested.ts';
import { insertInstance, readAdmissionFacts } from '#shared/adapters/postgres/admission.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Failure } from '#shared/domain/failure.ts';
import { refuseProvision } from '#shared/domain/instance/admission.ts';
import { normaliseModules } from '#shared/domain/instance/template.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { Admit } from '../operation/accept.ts';

type Request = InferData<typeof provisionRequested>;

/** What an instance is given when the request does not say. */
export type ProvisionDefaults = { imageId: string; clusterId: string; language: string; eventSource: string };

/** Admits a provision request: writes the instance's row, or says why not. Part of the accepting transaction. */
export function admitProvision(request: Request, instanceId: string, defaults: ProvisionDefaults): Admit {
  return async (transaction, operationId) => {
    const wanted = {
      instanceId,
      customerId: request.customer,
      name: request.name,
      planId: request.plan,
      imageId: request.image ?? defaults.imageId,
      clusterId: defaults.clusterId,
      modules: normaliseModules(request.modules ?? []),
      settings: request.settings ?? {},
      adminLogin: request.owner.email,
      language: request.language ?? defaults.language,
    };
    const facts = await readAdmissionFacts(transaction, wanted);
    const refusal = refuseProvision(wanted, facts);
    // A wrong setting of ours is no fault of the request: it is delivered again until the setting is mended.
    if (refusal?.code === 'misconfigured') throw refusal;
    if (refusal !== undefined) {
      return { admission: 'refused', refusal, announce: [refused(request, { operationId, refusal, defaults })] };
    }
    const host = `${request.name}.${facts.baseDomain}`;
    const taken = await insertInstance(transaction, { ...wanted, host });
    if (taken !== undefined) {
      const announced = refused(request, { operationId, refusal: taken, defaults });
      return { admission: 'refused', refusal: taken, announce: [announced] };
    }
    const data = { instance: instanceId, operation: operationId, customer: request.customer, name: request.name, host };
    const envelope = { id: eventIdOf(operationId, 'accepted'), source: defaults.eventSource };
    return { admission: 'admitted', announce: [announce(provisionAccepted, data, envelope)] };
  };
}

function refused(
  request: Request,
  { operationId, refusal, defaults }: { operationId: string; refusal: Failure; defaults: ProvisionDefaults },
): OutgoingEvent {
  const data = {
    instance: null,
    operation: null,
    customer: request.customer,
    name: request.name,
    code: refusal.code,
    text: oneLine(refusal.message, 1_000),
  };
  return announce(provisionFailed, data, { id: eventIdOf(operationId, 'refused'), source: defaults.eventSource });
}
