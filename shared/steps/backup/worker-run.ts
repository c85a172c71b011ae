import type { WorkerJob, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import { resultNames } from '#shared/domain/backup/manifest.ts';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import type { BackupRecords } from '#shared/domain/backup/ports.ts';
import { readProgress } from '#shared/domain/backup/worker-progress.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { done, type Look, missing, waiting } from '#shared/domain/operation/step.ts';

/** How long a Job may take, and a little more for its pod to be found a place. The role of the Job ends with it. */
export const jobDeadlineSeconds = 5 * 3_600;
export const passwordValidSeconds = jobDeadlineSeconds + 600;

/** What dump, compression and encryption need at once; it does not grow with the backup. */
export const workerMemoryMib = 768;

/** Jobs of one operation that may be lost (evicted, deleted, on a node that is gone) before it fails. */
const mostLost = 3;

/** Without an event of the Job its state is asked for this often. */
const checkAfterMs = 5_000;

export type WorkerRunPorts = {
  workers: WorkerJobs;
  store: ObjectStore;
  records: Pick<BackupRecords, 'progress'>;
};

/** What a Job of the worker is started with. */
export type WorkerStartPorts = {
  /** How the Job reaches the store, with the writer's credentials as they are now. */
  storeAccess(): Promise<StoreAccess>;
  workerImage(): string;
};

/** One run of the worker: the Job's name, where it writes, and the name of its result there. */
export type WorkerRun = {
  name: string;
  prefix: string;
  result: 'manifest' | 'result';
  round: number;
  /** A Job that says that the store or PostgreSQL was away counts as one that was lost: the next one may find them. */
  outlivesOutages?: boolean;
};

/** The worker's last line begins with its failure's code. */
const saysUnavailable = (reason: string) => /: (unavailable|timeout): /.test(reason);

export function waitingForJob(name: string): Look {
  return waiting(`Job ${name}`, { checkAfterMs });
}

/**
 * Where the run is. `done`: its result is in the store, whatever has become of the Job since. `missing`: there is neither
 * a result nor a Job: it was never started, or it was lost.
 * @throws Failure `job-failed` with the worker's own reason.
 */
export async function lookAtRun(context: InstanceContext, run: WorkerRun, ports: WorkerRunPorts): Promise<Look> {
  const job = await ports.workers.look(run.name);
  if (job.state === 'running') {
    await noteProgress(context, run, ports);
    return waitingForJob(run.name);
  }
  // After the Job: before, one that ends in between would seem to have left nothing.
  if ((await ports.store.head(`${run.prefix}/${run.result}`)) !== undefined) return done;
  const metOutage = job.state === 'failed' && run.outlivesOutages === true && saysUnavailable(job.reason);
  if (job.state === 'failed' && !job.wasInterrupted && !metOutage) {
    throw new Failure('job-failed', `Job ${run.name} failed: ${job.reason}`);
  }
  return missing;
}

/** Starts the Job of the run with this order, which says its task. */
export async function startRun(
  { operation, instance }: InstanceContext,
  { run, order, volume }: { run: WorkerRun; order: Pick<WorkerJob, 'task'>; volume: WorkerJob['volume'] },
  ports: Pick<WorkerRunPorts, 'workers'> & WorkerStartPorts,
): Promise<Look> {
  await ports.workers.start({
    name: run.name,
    owner: instance.id,
    operationId: operation.id,
    task: order.task,
    image: ports.workerImage(),
    order: JSON.stringify(order),
    volume,
    memoryMib: workerMemoryMib,
    deadlineSeconds: jobDeadlineSeconds,
  });
  return waitingForJob(run.name);
}

/**
 * Was a Job of this run at work? Then its pod may still be, and what it writes must not be mixed with another one's.
 * @throws Failure `job-failed` when too many were lost.
 */
export async function wasLost(context: InstanceContext, run: WorkerRun, ports: WorkerRunPorts): Promise<boolean> {
  const job = await ports.workers.look(run.name);
  const hasBegun = (await ports.store.head(`${run.prefix}/${resultNames.progress}`)) !== undefined;
  if (job.state === 'absent' && !hasBegun) return false;
  if (run.round - context.operation.round < mostLost - 1) return true;
  const why = job.state === 'failed' ? job.reason : 'it is gone, or ended without a result';
  throw new Failure('job-failed', `Job ${run.name} was the last of ${mostLost} that were lost: ${why}`);
}

/** For people only: whatever is wrong with it, the work goes on. */
async function noteProgress({ operation }: InstanceContext, run: WorkerRun, ports: WorkerRunPorts): Promise<void> {
  const bytes = await ports.store.get(`${run.prefix}/${resultNames.progress}`);
  const progress = bytes && readProgress(bytes);
  if (progress !== undefined) await ports.records.progress(operation, progress);
}
