import type { Trace } from '#shared/domain/backup/deletion-certificate.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import {
  type ClusterJobs,
  type ClusterPart,
  type CredentialsStore,
  clusterParts,
  type TenantCluster,
} from '#shared/domain/instance/ports.ts';
import type { InstanceTraces } from '#shared/domain/instance/traces.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

export type FindingPorts = {
  traces: InstanceTraces;
  cluster: Pick<TenantCluster, 'isGone'>;
  jobs: Pick<ClusterJobs, 'countOf'>;
  credentials: Pick<CredentialsStore, 'read'>;
  findings: {
    has(operationId: string): Promise<boolean>;
    write(operation: { id: string; fence: number }, instanceId: string, found: readonly Trace[]): Promise<void>;
  };
  /** @throws Failure `misconfigured` when what a certificate is signed with cannot be used. */
  checkSigner(): void;
};

/**
 * Writes down what is there of the instance before any of it is taken away: the certificate tells of it. What a certificate
 * is signed with is tried out here, while nothing is lost yet.
 */
export function noteFindings(ports: FindingPorts): Step<InstanceContext> {
  return {
    name: 'note-findings',
    look: async ({ operation }) => ((await ports.findings.has(operation.id)) ? done : missing),
    async act(context) {
      ports.checkSigner();
      await ports.findings.write(context.operation, context.instance.id, await findAll(context, ports));
      return done;
    },
  };
}

/** Looks for all of it again. @throws Failure `conflict` that names what is left: the purge does not end before that is gone. */
export function findNothing(ports: FindingPorts): Step<InstanceContext> {
  const look = async (context: InstanceContext) => {
    const left = await findAll(context, ports);
    if (left.length === 0) return done;
    const names = left.map(({ kind, name, where }) => `${kind} ${name} (${where})`).join(', ');
    throw new Failure('conflict', `Of instance ${context.instance.id} there is still ${names}.`);
  };
  return { name: 'find-nothing', look, act: look };
}

async function findAll({ instance }: InstanceContext, ports: FindingPorts): Promise<Trace[]> {
  const { id, databaseServer: server, clusterId } = instance;
  const there = server === null ? { databases: [], roles: [] } : await ports.traces.list(server, id);
  const where = server?.id ?? '';
  const found: Trace[] = [
    ...there.databases.map(({ name, bytes }): Trace => ({ kind: 'database', name, where, bytes })),
    ...there.roles.map((name): Trace => ({ kind: 'role', name, where, bytes: null })),
  ];
  const inCluster = (kind: Trace['kind'], name: string) => found.push({ kind, name, where: clusterId, bytes: null });
  for (const part of clusterParts) {
    if (!(await ports.cluster.isGone(instance, part))) inCluster('cluster-object', `${part} ${nameOf(part, id)}`);
  }
  if ((await ports.jobs.countOf(id)) > 0) inCluster('cluster-object', `jobs of ${namesOf(id).object}`);
  if ((await ports.credentials.read(instance)) !== undefined) inCluster('credentials', namesOf(id).credentialsSecret);
  return found;
}

function nameOf(part: ClusterPart, instanceId: string): string {
  const names = namesOf(instanceId);
  return part === 'configuration' ? names.configurationSecret : names.object;
}
