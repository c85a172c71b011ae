import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { ClusterPart, TenantCluster, WantedRuntime } from '#shared/domain/instance/ports.ts';
import { applyObject, findOurs, lookObject, removeObject, type Target, type Wanted, type Writer } from './apply.ts';
import { availabilityOf } from './availability.ts';
import type { KubernetesApi } from './client.ts';
import { kinds, type Stored } from './kinds.ts';
import { listObjects } from './list.ts';
import { labelKeys } from './resources/labels.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { placesOf, targetsOf } from './wanted-objects.ts';

type Deployment = Omit<V1Deployment, 'metadata'> & Stored;
type Pod = Omit<V1Pod, 'metadata'> & Stored;

/** The objects of instances on the Kubernetes API. */
export function tenantCluster(api: KubernetesApi, settings: ClusterSettings): TenantCluster {
  const { namespace } = settings;

  /** Places of a part that the plan does not want: they must be empty. */
  const unwantedOf = (instance: Instance, part: ClusterPart, targets: readonly Target<Wanted>[]) => {
    const names = new Set(targets.map(({ wanted }) => wanted.metadata?.name));
    return placesOf(instance.id, part, namespace).filter(({ wanted }) => !names.has(wanted.metadata?.name));
  };

  return {
    async look(instance, part, wanted) {
      const targets = targetsOf(instance, part, { settings, wanted });
      const writer = writerOf(wanted);
      for (const target of targets) if ((await lookObject(api, target, writer)) === 'missing') return 'missing';
      for (const target of unwantedOf(instance, part, targets)) if (await findOurs(api, target)) return 'missing';
      return 'done';
    },
    async apply(instance, part, wanted) {
      const writer = writerOf(wanted);
      const targets = targetsOf(instance, part, { settings, wanted });
      for (const target of unwantedOf(instance, part, targets)) await removeObject(api, target, writer);
      for (const target of targets) await applyObject(api, target, writer);
    },
    async remove(instance, part, { fence }) {
      for (const target of placesOf(instance.id, part, namespace)) await removeObject(api, target, { fence });
    },
    async lookScale(instance, wanted) {
      const cron = cronTarget(instance, { settings, wanted });
      const found = cron && ((await findOurs(api, cron)) as Deployment | undefined);
      return found === undefined || found.spec?.replicas === 0 ? 'done' : 'missing';
    },
    async applyScale(instance, wanted) {
      const cron = cronTarget(instance, { settings, wanted });
      if (cron !== undefined && (await findOurs(api, cron))) await applyObject(api, cron, writerOf(wanted));
    },
    async isGone(instance, part) {
      for (const target of placesOf(instance.id, part, namespace)) if (await findOurs(api, target)) return false;
      return true;
    },
    async countPods({ id }) {
      const labelSelector = `${labelKeys.owner}=${id},${labelKeys.component}!=job`;
      let count = 0;
      for await (const pod of listObjects<Pod>(api, kinds.pod, { namespace, labelSelector })) {
        if (!hasEnded(pod)) count += 1;
      }
      return count;
    },
    availability: (instance) => availabilityOf(api, instance, namespace),
  };
}

function writerOf({ fence, operationId }: WantedRuntime): Writer {
  return { fence, operationId };
}

/** The cron Deployment with no pods, where the plan has one. */
function cronTarget(
  instance: Instance,
  options: { settings: ClusterSettings; wanted: WantedRuntime },
): Target<Wanted & { spec?: object }> | undefined {
  const name = namesOf(instance.id).cronDeployment;
  const target = targetsOf(instance, 'deployment', options).find(({ wanted }) => wanted.metadata?.name === name);
  if (target === undefined) return undefined;
  const wanted: Wanted & { spec?: object } = target.wanted;
  return { ...target, wanted: { ...wanted, spec: { ...wanted.spec, replicas: 0 } } };
}

/** An evicted pod stays as a record, with nothing running in it, until the cluster sweeps. */
function hasEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}
