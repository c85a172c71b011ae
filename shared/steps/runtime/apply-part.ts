import { fencedOf, type InstanceContext, wantedRuntime } from '#shared/domain/instance/context.ts';
import type {
  ClusterPart,
  CredentialsStore,
  Hosts,
  TenantCluster,
  TenantDatabases,
  TenantHttp,
} from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** What the steps that bring an instance up and down talk to. */
export type RuntimePorts = {
  hosts: Hosts;
  cluster: TenantCluster;
  credentials: CredentialsStore;
  databases: TenantDatabases;
  http: TenantHttp;
};

/** Makes one part of the instance in the cluster as its row wants it. */
export function applyPart(
  part: ClusterPart,
  ports: { cluster: TenantCluster; credentials: CredentialsStore },
): Step<InstanceContext> {
  const options = { needsCredentials: part === 'configuration' || part === 'deployment' };
  return {
    name: part,
    touchesServer: false,
    async look(context) {
      const wanted = await wantedRuntime(context, ports.credentials, options);
      return (await ports.cluster.look(context.instance, part, wanted)) === 'done' ? done : missing;
    },
    async act(context) {
      await ports.cluster.apply(context.instance, part, await wantedRuntime(context, ports.credentials, options));
      return done;
    },
    async undo(context) {
      await ports.cluster.remove(context.instance, part, fencedOf(context));
    },
  };
}
