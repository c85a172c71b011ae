import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type { ClusterJobs, ClusterPart, CredentialsStore, TenantCluster } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Takes one part of the instance out of the cluster. */
export function removePart(part: ClusterPart, { cluster }: { cluster: TenantCluster }): Step<InstanceContext> {
  return {
    name: `remove-${part}`,
    touchesServer: false,
    look: async ({ instance }) => ((await cluster.isGone(instance, part)) ? done : missing),
    async act(context) {
      await cluster.remove(context.instance, part, fencedOf(context));
      return done;
    },
  };
}

/** Ends and removes the instance's Jobs, such as an initialisation that was overtaken. */
export function removeJobs({ jobs }: { jobs: ClusterJobs }): Step<InstanceContext> {
  return {
    name: 'remove-jobs',
    touchesServer: false,
    look: async ({ instance }) => ((await jobs.countOf(instance.id)) === 0 ? done : missing),
    async act({ instance }) {
      await jobs.removeAllOf(instance.id);
      return done;
    },
  };
}

/** Takes the generated passwords away: nothing they open is left. */
export function removeCredentials({ credentials }: { credentials: CredentialsStore }): Step<InstanceContext> {
  return {
    name: 'remove-credentials',
    touchesServer: false,
    look: async ({ instance }) => ((await credentials.read(instance)) === undefined ? done : missing),
    async act(context) {
      await credentials.remove(context.instance, fencedOf(context));
      return done;
    },
  };
}
