import { type ImportRequested, importAccepted, importFailed } from '#events/instance/import.ts';
import { insertInstance, readAdmissionFacts } from '#shared/adapters/postgres/admission.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { checkUploadKey } from '#shared/domain/backup/upload.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { asFailure, type Failure } from '#shared/domain/failure.ts';
import { refuseProvision } from '#shared/domain/instance/admission.ts';
import { normaliseModules } from '#shared/domain/instance/template.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { Admit } from '#shared/runtime/operation/accept.ts';

/** What an instance is given when the request does not say. */
export type ImportDefaults = { imageId: string; clusterId: string; language: string; eventSource: string };

/** Admits a request for an import: writes the new instance's row, or says why not. Part of the accepting transaction. */
export function admitImport(request: ImportRequested, defaults: ImportDefaults): Admit {
  return async (transaction, operationId) => {
    const refusal = await admit(transaction, request, defaults);
    const envelope = (what: string) => ({ id: eventIdOf(operationId, what), source: defaults.eventSource });
    const { instance, customer } = request;
    if (refusal === undefined) {
      const data = { instance, operation: operationId, customer, kind: 'import' };
      return { admission: 'admitted', announce: [announce(importAccepted, data, envelope('accepted'))] };
    }
    const text = oneLine(refusal.message, 1_000);
    const data = { instance, operation: null, customer, kind: 'import', code: refusal.code, text };
    return { admission: 'refused', refusal, announce: [announce(importFailed, data, envelope('refused'))] };
  };
}

function mistakeIn({ from, instance }: ImportRequested): Failure | undefined {
  try {
    checkUploadKey(from.key, instance);
    return undefined;
  } catch (error) {
    return asFailure(error);
  }
}

async function admit(
  transaction: Queryable,
  request: ImportRequested,
  defaults: ImportDefaults,
): Promise<Failure | undefined> {
  const wanted = {
    instanceId: request.instance,
    customerId: request.customer,
    name: request.name,
    planId: request.plan,
    imageId: request.image ?? defaults.imageId,
    clusterId: defaults.clusterId,
    // what is installed is what the database says; these are what a person should know
    modules: normaliseModules(request.modules ?? []),
    settings: request.settings ?? {},
    adminLogin: request.owner.email,
    language: request.language ?? defaults.language,
  };
  const mistake = mistakeIn(request);
  if (mistake !== undefined) return mistake;
  const facts = await readAdmissionFacts(transaction, wanted);
  const refusal = refuseProvision(wanted, facts);
  // A wrong setting of ours is no fault of the request: it is delivered again until the setting is mended.
  if (refusal?.code === 'misconfigured') throw refusal;
  return refusal ?? (await insertInstance(transaction, { ...wanted, host: `${request.name}.${facts.baseDomain}` }));
}
