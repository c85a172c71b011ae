import type { Database } from '#shared/adapters/postgres/database.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type {
  ClusterJobs,
  CredentialsStore,
  Placement,
  TenantCluster,
  TenantDatabases,
  TenantHttp,
} from '#shared/domain/instance/ports.ts';
import type { OperationDefinition } from '#shared/domain/operation/step.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import { createCredentials } from '#shared/steps/credentials/create-credentials.ts';
import { createRoles } from '#shared/steps/database/create-roles.ts';
import { initialisationJob } from '#shared/steps/database/initialisation-job.ts';
import { personaliseDatabase } from '#shared/steps/database/personalise-database.ts';
import { provideDatabase } from '#shared/steps/database/provide-database.ts';
import { placeInstance } from '#shared/steps/placement/place-instance.ts';
import { applyPart } from '#shared/steps/runtime/apply-part.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';
import { beginProvision, cancelProvision, failProvision, succeedProvision } from './ends.ts';

/** What provisioning talks to. */
export type ProvisionPorts = {
  placement: Placement;
  credentials: CredentialsStore;
  databases: TenantDatabases;
  cluster: TenantCluster;
  jobs: ClusterJobs;
  http: TenantHttp;
};

/**
 * Half an hour: the longest initialisation by a Job (a large set of modules) several times over. An operation that
 * waits for room on a server ends with it too, as failed; a retry goes on waiting.
 */
const deadlineMs = 30 * 60_000;

/** The order of provisioning. The Deployment comes before what it does not need to boot. */
export function provisionDefinition(ports: ProvisionPorts): OperationDefinition<InstanceContext> {
  return {
    kind: 'provision',
    version: 1,
    deadlineMs,
    cancel: 'undoes',
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

/** A database that somebody has worked in is not undone: it goes by a termination, with its backup and its waiting time. */
async function objectToCancel(context: InstanceContext, ports: ProvisionPorts): Promise<Failure | undefined> {
  const { instance } = context;
  const server = instance.databaseServer;
  if (server === null || !(await ports.databases.wasUsed(server, instance.id))) return undefined;
  const text = `Somebody has logged in to instance ${instance.id}. Retry the operation to finish it, or terminate the instance.`;
  return new Failure('not-allowed', text);
}

/** Provisioning as the runner carries it out. */
export function provisionOperation(
  database: Database,
  options: { ports: ProvisionPorts; eventSource: string },
): RunnableOperation<InstanceContext> {
  const { ports, eventSource } = options;
  return {
    definition: provisionDefinition(ports),
    async load(operation) {
      const { instance, publicUrl } = await readInstance(database, operation.instanceId);
      const loadedAtMs = performance.now();
      const context: InstanceContext = { operation, instance, publicUrl, credentials: undefined, loadedAtMs };
      if (!operation.cancelRequested) await beginProvision(database, context, eventSource);
      return context;
    },
    async takeOver(context) {
      const server = context.instance.databaseServer;
      if (server !== null) await ports.databases.takeOver(server, fencedOf(context));
    },
    succeed: (context) => succeedProvision(database, context, eventSource),
    fail: (context, end) => failProvision(database, context, { ...end, source: eventSource }),
    objectToCancel: (context) => objectToCancel(context, ports),
    cancel: (context, { isOvertaken }) => cancelProvision(database, context, { source: eventSource, isOvertaken }),
  };
}
