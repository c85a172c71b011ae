import { constants } from 'node:os';
import type { Image } from '../image.ts';
import type { ProcessExit, RunningProcess } from '../processes.ts';
import type { LaunchInput } from './launch.ts';
import { type Container, type ContainerState, type ContainerStatus, type PodSpec, timestamp } from './objects.ts';

/** One container of one pod as the node knows it. Changed in place by its runner, read for the pod's status. */
export type ContainerRecord = {
  container: Container;
  isInit: boolean;
  /** Counts the runs; 0 before the first. */
  run: number;
  restartCount: number;
  state: ContainerState;
  lastState: ContainerState;
  startedAtMs?: number;
  process?: RunningProcess;
  image?: Image;
  /** What the present run was started from. */
  launch?: LaunchInput;
  /** The probes' verdicts on the present run. */
  hasStartedUp: boolean;
  isReady: boolean;
};

/** An init container that stays: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/ */
export function isSidecar({ isInit, container }: Pick<ContainerRecord, 'isInit' | 'container'>): boolean {
  return isInit && container.restartPolicy === 'Always';
}

export function newContainerRecord(container: Container, isInit: boolean): ContainerRecord {
  return {
    container,
    isInit,
    run: 0,
    restartCount: 0,
    state: { waiting: { reason: isInit ? 'PodInitializing' : 'ContainerCreating' } },
    lastState: {},
    hasStartedUp: false,
    isReady: false,
  };
}

export function isRunning(record: ContainerRecord): boolean {
  return record.state.running !== undefined;
}

/** Running, and its startup probe (if any) has succeeded. */
export function hasStarted(record: ContainerRecord): boolean {
  return isRunning(record) && (record.container.startupProbe === undefined || record.hasStartedUp);
}

export function isContainerReady(record: ContainerRecord): boolean {
  if (record.isInit && !isSidecar(record)) return record.state.terminated?.exitCode === 0;
  return hasStarted(record) && (record.container.readinessProbe === undefined || record.isReady);
}

/** By a shell's rule, as in Kubernetes: 128 and the signal's number. */
export function terminatedState(
  { code, signal }: ProcessExit,
  { startedAtMs, nowMs, message }: { startedAtMs: number; nowMs: number; message?: string | undefined },
): ContainerState {
  const signalNumber = signal === null ? undefined : constants.signals[signal];
  const exitCode = code ?? 128 + (signalNumber ?? 0);
  return {
    terminated: {
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      ...(signalNumber === undefined ? {} : { signal: signalNumber }),
      ...(message === undefined ? {} : { message }),
      startedAt: timestamp(startedAtMs),
      finishedAt: timestamp(nowMs),
    },
  };
}

export function shouldRestart(pod: PodSpec, record: ContainerRecord, exitCode: number): boolean {
  const policy = pod.restartPolicy ?? 'Always';
  if (isSidecar(record)) return true;
  if (record.isInit) return exitCode !== 0 && policy !== 'Never';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

export function containerStatus(record: ContainerRecord, podUid: string): ContainerStatus {
  const { container } = record;
  const hasRun = record.run > 0;
  return {
    name: container.name,
    image: container.image,
    imageID: record.image ? container.image : '',
    ...(hasRun ? { containerID: `process://${podUid}/${container.name}/${record.run}` } : {}),
    ready: isContainerReady(record),
    started: record.isInit && !isSidecar(record) ? false : hasStarted(record),
    restartCount: record.restartCount,
    state: record.state,
    lastState: record.lastState,
  };
}
