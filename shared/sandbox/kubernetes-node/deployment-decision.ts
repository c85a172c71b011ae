import { conditionOf, type Deployment, isOwnedBy, isPodFinished, isPodReady, type Pod } from './objects.ts';
import { templateHash, templateHashLabel } from './pod-template.ts';

/** A Deployment's pods, sorted by what they mean for its next step. */
export type DeploymentPods = {
  hash: string;
  desired: number;
  /** Made from the present template and neither ending nor ended. */
  updated: Pod[];
  /** The same for former templates. */
  outdated: Pod[];
  /** Of a former template, being deleted, process perhaps still there. */
  outdatedEnding: Pod[];
  /** Ended by themselves; a Deployment replaces them. */
  finished: Pod[];
};

export function sortPods(deployment: Deployment, all: readonly Pod[]): DeploymentPods {
  const hash = templateHash(deployment.spec.template);
  const pods = all.filter((pod) => isOwnedBy(pod, deployment));
  const isEnding = (pod: Pod) => pod.metadata.deletionTimestamp !== undefined;
  const isUpdated = (pod: Pod) => pod.metadata.labels?.[templateHashLabel] === hash;
  const active = pods.filter((pod) => !isEnding(pod) && !isPodFinished(pod));
  return {
    hash,
    desired: deployment.spec.replicas ?? 1,
    updated: active.filter(isUpdated),
    outdated: active.filter((pod) => !isUpdated(pod)),
    outdatedEnding: pods.filter((pod) => isEnding(pod) && !isUpdated(pod) && !isPodFinished(pod)),
    finished: pods.filter((pod) => !isEnding(pod) && isPodFinished(pod)),
  };
}

export type PodChanges = { create: number; remove: Pod[] };

/** Which pods to make and to delete now, by the rules of the real Deployment and ReplicaSet controllers. */
export function decidePods(deployment: Deployment, pods: DeploymentPods, nowMs: number): PodChanges {
  const isRecreate = deployment.spec.strategy?.type === 'Recreate';
  const changes = isRecreate ? recreate(pods) : rollingUpdate(deployment, pods, nowMs);
  return { create: changes.create, remove: [...pods.finished, ...changes.remove] };
}

/** Old pods are gone before a new one starts. */
function recreate(pods: DeploymentPods): PodChanges {
  if (pods.outdated.length > 0) return { create: 0, remove: pods.outdated };
  if (pods.outdatedEnding.length > 0) return { create: 0, remove: [] };
  return scale(pods);
}

function scale({ updated, desired }: DeploymentPods): PodChanges {
  const surplus = updated.length - desired;
  return { create: Math.max(0, -surplus), remove: surplus > 0 ? expendableFirst(updated).slice(0, surplus) : [] };
}

function rollingUpdate(deployment: Deployment, pods: DeploymentPods, nowMs: number): PodChanges {
  const { desired, updated, outdated } = pods;
  if (outdated.length === 0) return scale(pods);
  const { maxSurge, maxUnavailable } = rollingLimits(deployment);
  const isAvailable = (pod: Pod) => isPodAvailable(deployment, pod, nowMs);
  const updatedAvailable = updated.filter(isAvailable).length;
  const [healthy, unhealthy] = [outdated.filter(isAvailable), outdated.filter((pod) => !isAvailable(pod))];
  const minAvailable = desired - maxUnavailable;

  const total = updated.length + outdated.length;
  const room = Math.min(desired - updated.length, desired + maxSurge - total);
  // Pods that do not serve go first; then as many serving ones as the others can stand in for.
  const spare = Math.max(0, total - minAvailable - (updated.length - updatedAvailable));
  const removedUnhealthy = expendableFirst(unhealthy).slice(0, spare);
  const healthySpare = Math.max(0, healthy.length + updatedAvailable - minAvailable);
  const removedHealthy = expendableFirst(healthy).slice(0, healthySpare);
  const surplus = updated.length > desired ? scale(pods).remove : [];
  return { create: Math.max(0, room), remove: [...surplus, ...removedUnhealthy, ...removedHealthy] };
}

/** Percentages are of the replicas, the surge rounded up and the unavailable down; both zero would never move. */
export function rollingLimits(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  if (deployment.spec.strategy?.type === 'Recreate') return { maxSurge: 0, maxUnavailable: 0 };
  const replicas = deployment.spec.replicas ?? 1;
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const share = (value: number | string, round: (n: number) => number) =>
    typeof value === 'number' ? value : round((Number.parseInt(value, 10) * replicas) / 100);
  const surge = share(maxSurge, Math.ceil);
  const unavailable = share(maxUnavailable, Math.floor);
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : Math.min(unavailable, replicas) };
}

/** Ready for at least `minReadySeconds`. */
export function isPodAvailable(deployment: Deployment, pod: Pod, nowMs: number): boolean {
  return isPodReady(pod) && nowMs >= availableAtMs(deployment, pod);
}

export function availableAtMs(deployment: Deployment, pod: Pod): number {
  const readySince = conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime;
  return Date.parse(readySince ?? '1970-01-01') + (deployment.spec.minReadySeconds ?? 0) * 1000;
}

/** Not ready before ready, then younger before older. */
function expendableFirst(pods: readonly Pod[]): Pod[] {
  const age = (pod: Pod) => pod.metadata.creationTimestamp ?? '';
  return pods.toSorted((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || (age(a) < age(b) ? 1 : -1));
}
