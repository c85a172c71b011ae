import { workerJobName } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { swapPrefix } from '#shared/domain/backup/load-names.ts';
import { openSwapWord, type SwapWord, sealSwapWord, swapNames } from '#shared/domain/backup/load-result.ts';
import { resultSigner } from '#shared/domain/backup/manifest.ts';
import type { SwapOrder } from '#shared/domain/backup/order.ts';
import type { Restore } from '#shared/domain/backup/restore-ports.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { JobState } from '#shared/domain/instance/ports.ts';
import { workerMemoryMib } from '../backup/worker-run.ts';
import { filestoreOf, keyContextOf, writableVolume } from '../load/load-beside.ts';
import { type RestorePorts, readRestore, sidesOf } from './restore-parts.ts';

/** It waits for a moment that comes in seconds. */
const deadlineSeconds = 1_800;
/** Jobs that may be lost in one restore before the database is exchanged. */
const mostRounds = 6;

export type SwapPorts = Pick<
  RestorePorts,
  'restores' | 'loads' | 'workers' | 'store' | 'wrapper' | 'cluster' | 'storeAccess' | 'workerImage'
>;

/** One Job that exchanges the folders: its name, where it writes, and what its words are signed with. */
type SwapRun = { name: string; prefix: string; order: { operationId: string; attempt: number; resultKey: string } };

async function runOf(context: InstanceContext, restore: Restore, { wrapper }: SwapPorts): Promise<SwapRun> {
  const { operation, instance } = context;
  const { round } = restore;
  const place = { instanceId: instance.id, operationId: operation.id, round };
  const jobKey = await wrapper.unwrap(restore.jobKey, keyContextOf(context));
  const { resultKey } = jobSecrets(jobKey, { operationId: operation.id, round });
  return {
    name: workerJobName('swap', place),
    prefix: swapPrefix(place),
    order: { operationId: operation.id, attempt: round, resultKey },
  };
}

/** `absent`: no Job is at work, and none has done it. `ready`: it waits for the word, or has it. */
export type SwapState = 'absent' | 'starting' | 'ready' | 'swapped';

/**
 * Before the database is exchanged a Job that failed ends the restore; after it another one follows, for as long as it takes.
 * @throws Failure `job-failed` with the worker's own reason.
 */
export async function lookAtSwap(context: InstanceContext, ports: SwapPorts): Promise<SwapState> {
  const restore = await readRestore(context, ports);
  if (restore.isWhole) return 'swapped';
  const run = await runOf(context, restore, ports);
  const job = await ports.workers.look(run.name);
  const isReady = (await ports.store.head(`${run.prefix}/${swapNames.ready}`)) !== undefined;
  if (isReady && (await hasSwapped(run, ports))) return 'swapped';
  if (job.state === 'running') return isReady ? 'ready' : 'starting';
  if (job.state === 'failed' && restore.state === 'running' && isItsOwn(job)) {
    throw new Failure('job-failed', `Job ${run.name} failed: ${job.reason}`);
  }
  return 'absent';
}

/** Neither somebody ended it, nor was the store or the volume away for a moment. */
function isItsOwn({ reason, wasInterrupted }: Extract<JobState, { state: 'failed' }>): boolean {
  return wasInterrupted !== true && !/: (unavailable|timeout): /.test(reason);
}

/** A result that cannot be read, as of a store that lost its end, is none: the next Job finds the folders as they are, and says so. */
async function hasSwapped(run: SwapRun, { store }: SwapPorts): Promise<boolean> {
  const bytes = await store.get(`${run.prefix}/${swapNames.result}`);
  if (bytes === undefined) return false;
  try {
    openSwapWord(bytes, 'swap-result', run.order);
    return true;
  } catch (error) {
    if (asFailure(error).code === 'damaged') return false;
    throw error;
  }
}

/** Starts the Job; one that was lost is followed by another, which finds what it has left. */
export async function startSwap(context: InstanceContext, ports: SwapPorts): Promise<void> {
  const { operation, instance } = context;
  const restore = await nextRound(context, ports);
  const run = await runOf(context, restore, ports);
  const { incoming, outgoing } = await sidesOf(context, ports);
  const order: SwapOrder = {
    version: 1,
    task: 'swap',
    instanceId: instance.id,
    ...run.order,
    store: await ports.storeAccess(),
    prefix: run.prefix,
    folders: {
      live: filestoreOf(namesOf(instance.id).database),
      incoming: filestoreOf(incoming),
      outgoing: filestoreOf(outgoing),
    },
  };
  await ports.workers.start({
    name: run.name,
    owner: instance.id,
    operationId: operation.id,
    task: 'swap',
    image: ports.workerImage(),
    order: JSON.stringify(order),
    volume: await writableVolume(context, ports),
    memoryMib: workerMemoryMib,
    deadlineSeconds,
  });
}

/** The first Job of a round has left nothing; of one that has, the folders may be half exchanged, and it may be at work yet. */
async function nextRound(context: InstanceContext, ports: SwapPorts): Promise<Restore> {
  const restore = await readRestore(context, ports);
  const run = await runOf(context, restore, ports);
  const job = await ports.workers.look(run.name);
  const wasReady = (await ports.store.head(`${run.prefix}/${swapNames.ready}`)) !== undefined;
  if (job.state === 'absent' && !wasReady) return restore;
  if (restore.round >= mostRounds && restore.state === 'running') {
    throw new Failure('job-failed', `Job ${run.name} was the last of ${mostRounds} that were lost.`);
  }
  await ports.workers.remove(run.name);
  return await ports.restores.another(context.operation, { round: restore.round });
}

/** Tells the Job to exchange the folders. Only after the database was exchanged: there is no way back from it but an undo. */
export async function sayGo(context: InstanceContext, ports: SwapPorts): Promise<void> {
  const restore = await readRestore(context, ports);
  const run = await runOf(context, restore, ports);
  const { operationId, attempt } = run.order;
  const word: SwapWord = { version: 1, instanceId: context.instance.id, operationId, attempt };
  await ports.store.put(`${run.prefix}/${swapNames.go}`, sealSwapWord(word, 'swap-go', resultSigner(run.order)));
}

/** Removes the Jobs of all rounds with their Secrets. */
export async function removeSwapJobs(context: InstanceContext, ports: SwapPorts): Promise<void> {
  for (const name of await swapJobsOf(context, ports)) await ports.workers.remove(name);
}

export async function swapJobsOf({ operation, instance }: InstanceContext, ports: SwapPorts): Promise<string[]> {
  const restore = await ports.restores.read(operation.id);
  return Array.from({ length: restore?.round ?? 0 }, (_, index) => {
    return workerJobName('swap', { instanceId: instance.id, operationId: operation.id, round: index + 1 });
  });
}
