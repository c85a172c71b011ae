import { availableAtMs, type DeploymentPods, isPodAvailable, rollingLimits } from './deployment-decision.ts';
import {
  type Condition,
  conditionOf,
  type Deployment,
  type DeploymentStatus,
  isPodReady,
  timestamp,
} from './objects.ts';

const defaultProgressDeadlineSeconds = 600;

/** The status the real Deployment controller reports for these pods. A rollout's name is `<deployment>-<hash>`. */
export function deploymentStatus(deployment: Deployment, pods: DeploymentPods, nowMs: number): DeploymentStatus {
  const active = [...pods.updated, ...pods.outdated];
  const available = active.filter((pod) => isPodAvailable(deployment, pod, nowMs)).length;
  const counts = {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: active.length,
    updatedReplicas: pods.updated.length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(pods.desired, active.length) - available),
  };
  const former = deployment.status?.conditions;
  const isEnough = available >= pods.desired - rollingLimits(deployment).maxUnavailable;
  const conditions = [
    transition(conditionOf(former, 'Available'), availableCondition(isEnough), nowMs),
    transition(conditionOf(former, 'Progressing'), progressing(deployment, pods, { counts, nowMs }), nowMs),
  ];
  // Zero counts are left out, as the API's omitempty does.
  return { ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)), conditions };
}

/** When the status changes although no object does: a pod's `minReadySeconds` or the progress deadline. */
export function nextStatusChangeMs(deployment: Deployment, pods: DeploymentPods, nowMs: number): number | undefined {
  const ready = [...pods.updated, ...pods.outdated].filter(isPodReady);
  const times = ready.map((pod) => availableAtMs(deployment, pod));
  const condition = conditionOf(deployment.status?.conditions, 'Progressing');
  if (condition !== undefined && mayTimeOut(condition)) times.push(deadlineMs(deployment, condition));
  const future = times.filter((time) => time > nowMs);
  return future.length === 0 ? undefined : Math.min(...future);
}

function availableCondition(isEnough: boolean): Condition {
  return isEnough
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
}

type Counts = Required<Omit<DeploymentStatus, 'conditions'>>;

function progressing(
  deployment: Deployment,
  pods: DeploymentPods,
  { counts, nowMs }: { counts: Counts; nowMs: number },
): Condition {
  const rollout = `"${deployment.metadata.name}-${pods.hash}"`;
  const former = conditionOf(deployment.status?.conditions, 'Progressing');
  const say = (status: 'True' | 'False', reason: string, message: string): Condition => {
    // A renewed time is what the deadline counts from.
    const lastUpdateTime = timestamp(nowMs);
    return { type: 'Progressing', status, reason, message, lastUpdateTime };
  };
  if (former === undefined || !former.message?.includes(rollout)) {
    return say('True', 'NewReplicaSetCreated', `Created new replica set ${rollout}`);
  }
  const isSettled = counts.replicas === counts.updatedReplicas && former.reason === 'NewReplicaSetAvailable';
  if (isSettled) return former;
  if ([counts.updatedReplicas, counts.replicas, counts.availableReplicas].every((n) => n === pods.desired)) {
    return say('True', 'NewReplicaSetAvailable', `ReplicaSet ${rollout} has successfully progressed.`);
  }
  if (hasProgressed(deployment.status, counts)) {
    return say('True', 'ReplicaSetUpdated', `ReplicaSet ${rollout} is progressing.`);
  }
  if (mayTimeOut(former) && nowMs >= deadlineMs(deployment, former)) {
    return say('False', 'ProgressDeadlineExceeded', `ReplicaSet ${rollout} has timed out progressing.`);
  }
  return former;
}

function hasProgressed(former: DeploymentStatus | undefined, now: Counts): boolean {
  const was = { replicas: 0, updatedReplicas: 0, readyReplicas: 0, availableReplicas: 0, ...former };
  return (
    now.updatedReplicas > was.updatedReplicas ||
    now.replicas - now.updatedReplicas < was.replicas - was.updatedReplicas ||
    now.readyReplicas > was.readyReplicas ||
    now.availableReplicas > was.availableReplicas
  );
}

function mayTimeOut(condition: Condition): boolean {
  return condition.reason !== 'NewReplicaSetAvailable' && condition.reason !== 'ProgressDeadlineExceeded';
}

function deadlineMs(deployment: Deployment, condition: Condition): number {
  const seconds = deployment.spec.progressDeadlineSeconds ?? defaultProgressDeadlineSeconds;
  return Date.parse(condition.lastUpdateTime ?? '1970-01-01') + seconds * 1000;
}

function transition(former: Condition | undefined, next: Condition, nowMs: number): Condition {
  const now = timestamp(nowMs);
  const isSame = former?.status === next.status && former.reason === next.reason && former.message === next.message;
  const lastTransitionTime = former?.status === next.status ? (former.lastTransitionTime ?? now) : now;
  const lastUpdateTime = isSame ? (next.lastUpdateTime ?? former.lastUpdateTime ?? now) : now;
  return { ...next, lastUpdateTime, lastTransitionTime };
}
