import { provisionFailed } from '#events/instance/provision-failed.ts';
import { provisioned } from '#events/instance/provisioned.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type {
  ClusterJobs,
  CredentialsStore,
  Placement,
  TenantCluster,
  TenantDatabases,
  TenantHttp,
} from '#shared/domain/instance/ports.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { OperationDefinition } from '#shared/domain/operation/step.ts';
import type { Making } from '#shared/runtime/making/making.ts';
import { makingOperation } from '#shared/runtime/making/operation.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import { createCredentials } from '#shared/steps/credentials/create-credentials.ts';
import { createRoles } from '#shared/steps/database/create-roles.ts';
import { initialisationJob } from '#shared/steps/database/initialisation-job.ts';
import { personaliseDatabase } from '#shared/steps/database/personalise-database.ts';
import { provideDatabase } from '#shared/steps/database/provide-database.ts';
import { placeInstance } from '#shared/steps/placement/place-instance.ts';
import { applyPart } from '#shared/steps/runtime/apply-part.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** What provisioning talks to. */
export type ProvisionPorts = {
  placement: Placement;
  credentials: CredentialsStore;
  databases: TenantDatabases;
  cluster: TenantCluster;
  jobs: ClusterJobs;
  http: TenantHttp;
};

/** The order of provisioning. The Deployment comes before what it does not need to boot. */
export function provisionDefinition(ports: ProvisionPorts): OperationDefinition<InstanceContext> {
  return {
    ...definitionFacts.provision,
    steps: [
      placeInstance(ports),
      createCredentials(ports),
      createRoles(ports),
      // Before anything of the instance runs, its init Job included.
      applyPart('network-policy', ports),
      provideDatabase({ ...ports, initialisation: initialisationJob }),
      personaliseDatabase(ports),
      applyPart('configuration', ports),
      applyPart('volume', ports),
      applyPart('deployment', ports),
      applyPart('service', ports),
      applyPart('ingress', ports),
      waitUntilReady(ports),
    ],
  };
}

/** Provisioning as the runner carries it out. */
export function provisionOperation(
  database: Database,
  { ports, eventSource }: { ports: ProvisionPorts; eventSource: string },
): RunnableOperation<InstanceContext> {
  const definition = provisionDefinition(ports);
  return makingOperation(database, { definition, making, databases: ports.databases, eventSource });
}

const making: Making = {
  succeeded: ({ instance, operation, publicUrl: url }, { seconds }, envelope) =>
    announce(
      provisioned,
      { instance: instance.id, customer: instance.customerId, operation: operation.id, url, seconds },
      envelope,
    ),
  failed({ instance, operation }, end, envelope) {
    const told = { instance: instance.id, customer: instance.customerId, operation: operation.id, name: instance.name };
    return announce(provisionFailed, { ...told, ...end }, envelope);
  },
};
