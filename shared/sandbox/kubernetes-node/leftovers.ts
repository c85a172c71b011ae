import type { KubernetesClient } from '../kubernetes-client.ts';
import { isPodFinished, type Pod, pods } from './objects.ts';
import { writeStatus } from './status-writer.ts';

/**
 * Deals with pods whose processes died with a former node. What a Deployment owns is removed, and its controller makes
 * it anew. A Job's pod is marked failed with the kubelet's words for a node that was shut down, so that the Job counts it.
 */
export async function settleLeftovers(client: KubernetesClient, namespace: string): Promise<void> {
  const { items } = await client.list(pods, namespace);
  for (const pod of items) {
    const fate = leftoverFate(pod);
    const { name, uid = '' } = pod.metadata;
    if (fate === 'remove') await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, uid });
    if (fate === 'fail') await writeStatus(client, pods, { object: pod, compute: lostStatus });
  }
}

export function leftoverFate(pod: Pod): 'keep' | 'remove' | 'fail' {
  if (pod.metadata.deletionTimestamp !== undefined) return 'remove';
  // Never started, or at rest already.
  if (pod.status?.startTime === undefined || isPodFinished(pod)) return 'keep';
  const isRestarted = (pod.spec.restartPolicy ?? 'Always') === 'Always';
  return isRestarted ? 'remove' : 'fail';
}

function lostStatus(pod: Pod): NonNullable<Pod['status']> {
  return {
    ...pod.status,
    phase: 'Failed',
    reason: 'Terminated',
    message: 'Pod was terminated in response to imminent node shutdown.',
    conditions: (pod.status?.conditions ?? []).map((condition) =>
      condition.type === 'Ready' || condition.type === 'ContainersReady'
        ? { ...condition, status: 'False' as const, reason: 'PodFailed' }
        : condition,
    ),
  };
}
