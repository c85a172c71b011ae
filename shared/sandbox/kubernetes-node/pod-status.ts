import {
  type ContainerRecord,
  containerStatus,
  hasStarted,
  isContainerReady,
  isRunning,
  isSidecar,
} from './container-state.ts';
import { type Condition, conditionOf, type Pod, type PodPhase, type PodStatus, timestamp } from './objects.ts';

export type PodRecord = {
  podIP: string;
  startedAtMs: number;
  init: ContainerRecord[];
  main: ContainerRecord[];
  /** The node has stopped the pod for good, whatever its restart policy. */
  hasEnded: boolean;
};

/** The status the kubelet reports for these containers. Conditions keep their time while their status is the same. */
export function podStatus(pod: Pod, record: PodRecord, nowMs: number): PodStatus {
  const uid = pod.metadata.uid ?? '';
  const phase = podPhase(pod, record);
  const former = pod.status?.conditions;
  const conditions = podConditions(record, phase).map((condition): Condition => {
    const old = conditionOf(former, condition.type);
    const isSame = old?.status === condition.status && old.lastTransitionTime !== undefined;
    return { ...condition, lastTransitionTime: isSame ? (old.lastTransitionTime ?? '') : timestamp(nowMs) };
  });
  return {
    phase,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    conditions,
    hostIP: '127.0.0.1',
    podIP: record.podIP,
    podIPs: [{ ip: record.podIP }],
    startTime: timestamp(record.startedAtMs),
    ...(record.init.length > 0 ? { initContainerStatuses: record.init.map((one) => containerStatus(one, uid)) } : {}),
    containerStatuses: record.main.map((one) => containerStatus(one, uid)),
  };
}

/** The kubelet's `getPhase`. */
function podPhase(pod: Pod, { init, main, hasEnded }: PodRecord): PodPhase {
  const policy = pod.spec.restartPolicy ?? 'Always';
  const isDone = (one: ContainerRecord) => one.state.terminated?.exitCode === 0;
  const hasBegun = main.some((one) => one.run > 0);
  if (hasEnded) return main.every(isDone) ? 'Succeeded' : 'Failed';
  const hasFailedInit = init.some((one) => !isSidecar(one) && one.state.terminated !== undefined && !isDone(one));
  if (hasFailedInit && policy === 'Never') return 'Failed';
  if (!hasBegun && !init.every(isPassed)) return 'Pending';
  // Waiting after a former run is a back-off and counts as stopped.
  if (main.some((one) => one.state.waiting && one.lastState.terminated === undefined)) return 'Pending';
  // A pod is over when its sidecars are, too; how they ended does not matter.
  if (main.some(isRunning) || init.some(isRunning) || policy === 'Always') return 'Running';
  if (main.every(isDone)) return 'Succeeded';
  return policy === 'Never' ? 'Failed' : 'Running';
}

/** What an init container has to have done before the next one begins. */
function isPassed(one: ContainerRecord): boolean {
  return isSidecar(one) ? hasStarted(one) : one.state.terminated?.exitCode === 0;
}

function podConditions(record: PodRecord, phase: PodPhase): Condition[] {
  const isInitialized = record.main.some((one) => one.run > 0) || record.init.every(isPassed);
  const initialized: Condition = isInitialized
    ? { type: 'Initialized', status: 'True' }
    : unready('Initialized', 'ContainersNotInitialized', {
        words: 'incomplete status',
        names: record.init.filter((one) => !isPassed(one)),
      });
  return [
    { type: 'PodReadyToStartContainers', status: phase === 'Succeeded' || phase === 'Failed' ? 'False' : 'True' },
    initialized,
    readiness('Ready', record, phase),
    readiness('ContainersReady', record, phase),
    { type: 'PodScheduled', status: 'True' },
  ];
}

function readiness(type: string, record: PodRecord, phase: PodPhase): Condition {
  if (phase === 'Succeeded') return { type, status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { type, status: 'False', reason: 'PodFailed' };
  const names = record.main.filter((one) => !isContainerReady(one));
  if (names.length === 0) return { type, status: 'True' };
  return unready(type, 'ContainersNotReady', { words: 'unready status', names });
}

function unready(
  type: string,
  reason: string,
  { words, names }: { words: string; names: ContainerRecord[] },
): Condition {
  const list = names.map(({ container }) => container.name).join(' ');
  return { type, status: 'False', reason, message: `containers with ${words}: [${list}]` };
}
