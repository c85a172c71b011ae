import { fencedOf, type InstanceContext, wantedRuntime } from '#shared/domain/instance/context.ts';
import type {
  ClusterPart,
  CredentialsStore,
  TenantCluster,
  TenantDatabases,
  TenantHttp,
} from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** What the steps that bring an instance up and down talk to. */
export type RuntimePorts = {
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
  return {
    name: part,
    async look(context) {
      const wanted = await wantedRuntime(context, ports.credentials);
      return (await ports.cluster.look(context.instance, part, wanted)) === 'done' ? done : missing;
    },
    async act(context) {
      await ports.cluster.apply(context.instance, part, await wantedRuntime(context, ports.credentials));
      return done;
    },
    async undo(context) {
      await ports.cluster.remove(context.instance, part, fencedOf(context));
    },
  };
}
