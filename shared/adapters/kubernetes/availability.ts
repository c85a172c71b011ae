import type { V1Deployment, V1Pod } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { findOurs } from './apply.ts';
import type { KubernetesApi } from './client.ts';
import { kinds, type Stored } from './kinds.ts';
import { hasCronDeployment } from './resources/deployment.ts';
import { labelKeys, labelsOf } from './resources/labels.ts';

type Deployment = Omit<V1Deployment, 'metadata'> & Stored;
type Pod = Omit<V1Pod, 'metadata'> & Stored;

/**
 * Are all Deployments the plan wants there, seen by their controller, and available? Pods are read only to say why not.
 * A Deployment wanted with no replicas is available when it has none left.
 */
export async function availabilityOf(
  api: KubernetesApi,
  instance: Instance,
  namespace: string,
): Promise<{ available: boolean; reason: string }> {
  const names = namesOf(instance.id);
  for (const name of hasCronDeployment(instance.plan) ? [names.object, names.cronDeployment] : [names.object]) {
    const place = { metadata: { name, namespace, labels: labelsOf(instance.id) } };
    const deployment = (await findOurs(api, { kind: kinds.deployment, wanted: place })) as Deployment | undefined;
    const reason = whyUnavailable(deployment, name);
    if (reason === undefined) continue;
    if (deployment === undefined) return { available: false, reason };
    const query = { labelSelector: `${labelKeys.owner}=${instance.id},${labelKeys.component}!=job`, limit: '50' };
    const pods = await api.list<Pod>(kinds.pod, namespace, query);
    return { available: false, reason: pods.map(whyPodWaits).find((why) => why !== undefined) ?? reason };
  }
  return { available: true, reason: '' };
}

/** Undefined when the Deployment is as available as it wants to be. */
export function whyUnavailable(deployment: Deployment | undefined, name: string): string | undefined {
  if (deployment === undefined) return `Deployment ${name} is not there`;
  const { spec, status, metadata } = deployment;
  const wanted = spec?.replicas ?? 1;
  if ((status?.observedGeneration ?? 0) < (metadata?.generation ?? 0)) return `${name} has not been looked at yet`;
  const trouble = status?.conditions?.find(
    ({ type, status: value, reason }) =>
      (type === 'ReplicaFailure' && value === 'True') ||
      (type === 'Progressing' && reason === 'ProgressDeadlineExceeded'),
  );
  const available = status?.availableReplicas ?? 0;
  const updated = status?.updatedReplicas ?? 0;
  const total = status?.replicas ?? 0;
  if (available >= wanted && updated >= wanted && total <= wanted) return undefined;
  return trouble?.message ?? `${name} has ${available} of ${wanted} pods available`;
}

/** What keeps a pod from running, in the cluster's own words. */
export function whyPodWaits(pod: Pod): string | undefined {
  const name = pod.metadata?.name ?? 'pod';
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unscheduled) return `${name} is not scheduled: ${unscheduled.message ?? unscheduled.reason ?? 'no node'}`;
  for (const { state, lastState } of pod.status?.containerStatuses ?? []) {
    const { reason, message } = state?.waiting ?? {};
    if (reason === undefined || reason === 'ContainerCreating' || reason === 'PodInitializing') continue;
    const ended = lastState?.terminated;
    const last = ended ? `, last exit code ${ended.exitCode}` : '';
    return `${name}: ${reason}${last}${message ? `: ${message}` : ''}`;
  }
  return undefined;
}
