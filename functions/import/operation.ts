import { importFailed, importSucceeded } from '#events/instance/import.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { endUnfinishedLoad } from '#shared/adapters/postgres/load-records.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { OperationDefinition } from '#shared/domain/operation/step.ts';
import { makingOf } from '#shared/runtime/making/making.ts';
import { makingOperation } from '#shared/runtime/making/operation.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import { createClosedRoles } from '#shared/steps/clone/closed-roles.ts';
import { untilLive } from '#shared/steps/clone/until-live.ts';
import { createCredentials } from '#shared/steps/credentials/create-credentials.ts';
import { repairLogin } from '#shared/steps/database/repair-access.ts';
import { type ImportSourcePorts, importedFrom, zipSource } from '#shared/steps/import/import-source.ts';
import { takeIn } from '#shared/steps/import/take-in.ts';
import { handOverLoad, releaseLoad, releaseLoadStep, takeLoadedName } from '#shared/steps/load/finish-load.ts';
import { filestoreOf, type LoadPorts, loadBeside } from '#shared/steps/load/load-beside.ts';
import { placeInstance } from '#shared/steps/placement/place-instance.ts';
import { applyPart, type RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** What an import talks to. */
export type ImportPorts = Omit<LoadPorts, 'cluster'> &
  Omit<RuntimePorts, 'hosts'> &
  ImportSourcePorts &
  Parameters<typeof takeIn>[0] & { placement: Placement };

/**
 * The order of an import. The database that comes in is a program of somebody else's: it is loaded by a role that can do
 * nothing but that, and no tenant and no Odoo can reach it before it was looked at.
 */
export function importDefinition(ports: ImportPorts): OperationDefinition<InstanceContext> {
  return {
    ...definitionFacts.import,
    steps: [
      placeInstance(ports),
      createCredentials(ports),
      applyPart('network-policy', ports),
      applyPart('volume', ports),
      createClosedRoles({ ...ports, release: (context) => release(context, ports) }),
      ...untilLive(ports, [
        ...loadBeside(ports, { source: (context) => sourceFor(context, ports), filestore: ownFilestore }),
        takeIn(ports),
        handOverLoad(ports),
        takeLoadedName(ports),
      ]),
      repairLogin(ports),
      releaseLoadStep(ports),
      applyPart('configuration', ports),
      applyPart('deployment', ports),
      applyPart('service', ports),
      applyPart('ingress', ports),
      waitUntilReady(ports),
    ],
  };
}

/** The volume is nobody's yet: the files go where Odoo will look for them. */
function ownFilestore({ instance }: InstanceContext) {
  return { folder: filestoreOf(namesOf(instance.id).database), linkFrom: null };
}

async function sourceFor(context: InstanceContext, ports: ImportPorts) {
  return await zipSource(context, importedFrom(context).key, ports);
}

/** An import as the runner carries it out. */
export function importOperation(
  database: Database,
  { ports, eventSource }: { ports: ImportPorts; eventSource: string },
): RunnableOperation<InstanceContext> {
  return makingOperation(database, {
    definition: importDefinition(ports),
    making: {
      ...makingOf('import', { succeeded: importSucceeded, failed: importFailed }),
      release: (context) => release(context, ports),
      onOtherEnd: (transaction, { operation }, why) => endUnfinishedLoad(transaction, operation.id, why),
    },
    databases: ports.databases,
    eventSource,
  });
}

/** Nothing was begun on a server while there is none. */
async function release(context: InstanceContext, ports: ImportPorts): Promise<void> {
  if (context.instance.databaseServer !== null) await releaseLoad(context, ports);
}
