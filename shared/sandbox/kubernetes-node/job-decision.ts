import {
  type Condition,
  conditionOf,
  isOwnedBy,
  isPodFinished,
  isPodReady,
  type Job,
  type JobStatus,
  type Pod,
  timestamp,
} from './objects.ts';

const defaultBackoffLimit = 6;
/** The real Job controller waits this long after the first failed pod and doubles it up to the second number. */
const firstRetryMs = 10_000;
const maxRetryMs = 360_000;

export type JobDecision = {
  create: number;
  remove: Pod[];
  status: JobStatus;
  /** `ttlSecondsAfterFinished` has passed: the Job itself is to be deleted. */
  isExpired: boolean;
  /** When to decide again although no object changes. */
  nextAtMs?: number;
};

/** What to do for a Job now, by the rules of the real Job controller; it counts a pod as long as the pod exists. */
export function decideJob(job: Job, allPods: readonly Pod[], nowMs: number): JobDecision {
  const former = job.status ?? {};
  if (finishedAt(job) !== undefined) return afterTheEnd(job, nowMs);
  const pods = allPods.filter((pod) => isOwnedBy(pod, job));
  const active = pods.filter((pod) => !isPodFinished(pod) && pod.metadata.deletionTimestamp === undefined);
  const counts = {
    succeeded: Math.max(former.succeeded ?? 0, countPhase(pods, 'Succeeded')),
    failed: Math.max(former.failed ?? 0, countPhase(pods, 'Failed')),
  };
  const startTime = former.startTime ?? timestamp(nowMs);
  const base: JobStatus = { ...former, startTime, ...nonZero(counts) };

  const end = ending(job, { pods, active, ...counts, startMs: Date.parse(startTime), nowMs });
  if (end !== undefined) return { create: 0, remove: active, isExpired: false, status: ended(base, end, nowMs) };

  const completions = job.spec.completions ?? job.spec.parallelism ?? 1;
  const wanted = Math.min(job.spec.parallelism ?? 1, completions - counts.succeeded);
  const retryAtMs = retryTime(pods, counts.failed);
  const create = retryAtMs > nowMs ? 0 : Math.max(0, wanted - active.length);
  const remove = active.slice(Math.max(0, wanted));
  const activeCounts = {
    active: active.length + create - remove.length,
    ready: active.filter(isPodReady).length,
  };
  const { active: _active, ready: _ready, ...rest } = base;
  const nextAtMs = earliest([retryAtMs, deadlineMs(job, Date.parse(startTime))], nowMs);
  return {
    create,
    remove,
    status: { ...rest, ...nonZero(activeCounts) },
    isExpired: false,
    ...(nextAtMs === undefined ? {} : { nextAtMs }),
  };
}

type End = { type: 'Complete' | 'Failed'; reason: string; message: string };
type Situation = { pods: Pod[]; active: Pod[]; succeeded: number; failed: number; startMs: number; nowMs: number };

function ending(job: Job, { pods, active, succeeded, failed, startMs, nowMs }: Situation): End | undefined {
  const backoffLimit = job.spec.backoffLimit ?? defaultBackoffLimit;
  const restarts = job.spec.template.spec.restartPolicy === 'OnFailure' ? countRestarts(active) : 0;
  if (failed > backoffLimit || (restarts > 0 && restarts >= backoffLimit)) {
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' };
  }
  if (nowMs >= deadlineMs(job, startMs)) {
    return { type: 'Failed', reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
  }
  const isEnough =
    job.spec.completions === undefined && job.spec.parallelism !== undefined
      ? succeeded > 0 && active.length === 0 && pods.length > 0 // a work queue: any success ends it
      : succeeded >= (job.spec.completions ?? 1);
  if (!isEnough) return undefined;
  return { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
}

/** The real controller announces the end by a first condition and confirms it by the second. */
function ended(status: JobStatus, end: End, nowMs: number): JobStatus {
  const { active: _active, ready: _ready, ...rest } = status;
  const now = timestamp(nowMs);
  const condition = (type: string): Condition => ({
    ...end,
    type,
    status: 'True',
    lastProbeTime: now,
    lastTransitionTime: now,
  });
  const first = end.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const conditions = [...(status.conditions ?? []), condition(first), condition(end.type)];
  return { ...rest, conditions, ...(end.type === 'Complete' ? { completionTime: now } : {}) };
}

function afterTheEnd(job: Job, nowMs: number): JobDecision {
  const status = job.status ?? {};
  const ttlSeconds = job.spec.ttlSecondsAfterFinished;
  const untouched = { create: 0, remove: [], status };
  if (ttlSeconds === undefined) return { ...untouched, isExpired: false };
  const expiresAtMs = (finishedAt(job) ?? nowMs) + ttlSeconds * 1000;
  if (expiresAtMs <= nowMs) return { ...untouched, isExpired: true };
  return { ...untouched, isExpired: false, nextAtMs: expiresAtMs };
}

function finishedAt(job: Job): number | undefined {
  const conditions = job.status?.conditions;
  const end = [conditionOf(conditions, 'Complete'), conditionOf(conditions, 'Failed')].find(
    (c) => c?.status === 'True',
  );
  return end === undefined ? undefined : Date.parse(end.lastTransitionTime ?? '1970-01-01');
}

function deadlineMs(job: Job, startMs: number): number {
  const seconds = job.spec.activeDeadlineSeconds;
  return seconds === undefined ? Number.POSITIVE_INFINITY : startMs + seconds * 1000;
}

function retryTime(pods: readonly Pod[], failed: number): number {
  if (failed === 0) return 0;
  const ends = pods.filter((pod) => pod.status?.phase === 'Failed').map(podEndMs);
  if (ends.length === 0) return 0;
  return Math.max(...ends) + Math.min(maxRetryMs, firstRetryMs * 2 ** (failed - 1));
}

function podEndMs(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? []).map((status) => status.state.terminated?.finishedAt ?? '');
  const last = ends.toSorted().at(-1) || pod.metadata.creationTimestamp || '1970-01-01';
  return Date.parse(last);
}

function countPhase(pods: readonly Pod[], phase: 'Succeeded' | 'Failed'): number {
  return pods.filter((pod) => pod.status?.phase === phase).length;
}

function countRestarts(pods: readonly Pod[]): number {
  const statuses = pods.flatMap((pod) => [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ]);
  return statuses.reduce((sum, status) => sum + status.restartCount, 0);
}

function earliest(times: number[], nowMs: number): number | undefined {
  const future = times.filter((time) => time > nowMs && Number.isFinite(time));
  return future.length === 0 ? undefined : Math.min(...future);
}

function nonZero<T extends Record<string, number>>(counts: T): Partial<T> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)) as Partial<T>;
}
