import type { V1Job, V1Pod, V1Secret } from '@kubernetes/client-node';
import type { BootJob, WorkerJob, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ClusterJobs, JobRunner } from '#shared/domain/instance/ports.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { applyObject, writeQuery } from './apply.ts';
import type { Call, KubernetesApi } from './client.ts';
import { kinds, type Stored } from './kinds.ts';
import { listObjects } from './list.ts';
import { bootJob, bootSecret } from './resources/boot-job.ts';
import { jobSecret, odooJob } from './resources/job.ts';
import { annotationKeys, bootLabel, labelKeys, managedBy } from './resources/labels.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { workerJob, workerLabel, workerSecret } from './resources/worker-job.ts';

type Job = Omit<V1Job, 'metadata'> & Stored;
type Pod = Omit<V1Pod, 'metadata'> & Stored;

/** How a kind of Job is written. */
type Builder<Wanted> = {
  job(wanted: Wanted, settings: ClusterSettings): V1Job;
  /** It belongs to the Job and has its name. */
  secret(wanted: Wanted, namespace: string, jobUid: string): V1Secret;
};

/** Runs of the Odoo image. */
export function clusterJobs(api: KubernetesApi, settings: ClusterSettings): ClusterJobs {
  return jobRunner(api, settings, { job: odooJob, secret: jobSecret });
}

/** Starts of Odoo on restored databases. */
export function bootJobs(api: KubernetesApi, settings: ClusterSettings): JobRunner<BootJob> {
  return jobRunner(api, settings, { job: bootJob, secret: bootSecret });
}

/** Runs of the worker image. */
export function workerJobs(api: KubernetesApi, settings: ClusterSettings): WorkerJobs {
  return {
    ...jobRunner<WorkerJob>(api, settings, { job: workerJob, secret: workerSecret }),
    async list() {
      const labelSelector = `${labelKeys.managedBy}=${managedBy},${labelKeys.name} in (${workerLabel},${bootLabel})`;
      const jobs: { name: string; operationId: string | null; instanceId: string }[] = [];
      for await (const { metadata } of listObjects<Job>(api, kinds.job, {
        namespace: settings.namespace,
        labelSelector,
      })) {
        if (metadata?.name === undefined || metadata.deletionTimestamp !== undefined) continue;
        const operationId = metadata.annotations?.[annotationKeys.operation] ?? null;
        jobs.push({ name: metadata.name, operationId, instanceId: metadata.labels?.[labelKeys.owner] ?? '' });
      }
      return jobs;
    },
  };
}

/**
 * Jobs on the Kubernetes API. A Job and its Secret are two writes: the Job comes first, because the Secret is owned by it and so
 * goes with it; its pod waits for the Secret. A Job whose Secret is missing and that has not ended counts as `absent`: starting it
 * again adds the Secret. Names carry operation and attempt, which is the fence here.
 */
function jobRunner<Wanted extends { name: string; owner: string }>(
  api: KubernetesApi,
  settings: ClusterSettings,
  build: Builder<Wanted>,
): JobRunner<Wanted> {
  const { namespace } = settings;
  return {
    async look(name) {
      const job = await findJob(api, namespace, name);
      if (job === undefined || job.metadata?.deletionTimestamp !== undefined) return { state: 'absent' };
      const end = job.status?.conditions?.find(
        ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
      );
      if (end?.type === 'Complete') return { state: 'succeeded' };
      if (end?.type === 'Failed') return { state: 'failed', ...(await whyFailed(api, { namespace, name, end })) };
      const secret = await api.read<Stored>(kinds.secret, namespace, name);
      return { state: secret === undefined ? 'absent' : 'running' };
    },
    async start(job) {
      const created = await createJob(api, build.job(job, settings), { namespace, ...job });
      const uid = created.metadata?.uid ?? '';
      // Fence 0: nobody else writes this name.
      await applyObject(api, { kind: kinds.secret, wanted: build.secret(job, namespace, uid) }, { fence: 0 });
    },
    async remove(name) {
      const job = await findJob(api, namespace, name);
      if (job !== undefined) await deleteJob(api, namespace, { name, uid: job.metadata?.uid });
    },
    countOf: async (owner) => (await jobsOf(api, namespace, owner)).length,
    async removeAllOf(owner) {
      for (const { metadata } of await jobsOf(api, namespace, owner)) {
        if (metadata?.name !== undefined) await deleteJob(api, namespace, { name: metadata.name, uid: metadata.uid });
      }
    },
  };
}

/** Jobs of one owner by label, those left out that are going already. An instance has a few at most. */
async function jobsOf(api: KubernetesApi, namespace: string, owner: string): Promise<readonly Job[]> {
  const labelSelector = `${labelKeys.managedBy}=${managedBy},${labelKeys.owner}=${owner}`;
  const jobs = await api.list<Job>(kinds.job, namespace, { labelSelector, limit: '100' });
  return jobs.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
}

async function deleteJob(
  api: KubernetesApi,
  namespace: string,
  { name, uid }: { name: string; uid: string | undefined },
): Promise<void> {
  const call: Call = {
    method: 'DELETE',
    kind: kinds.job,
    namespace,
    name,
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      // Takes the pod and the Secret along; the default of the batch API leaves them.
      propagationPolicy: 'Background',
      preconditions: { uid },
    },
  };
  const answer = await api.send(call);
  if ('refusal' in answer && answer.refusal.status !== 404) throw api.failure(call, answer.refusal);
}

async function createJob(
  api: KubernetesApi,
  body: V1Job,
  { namespace, ...job }: { namespace: string; name: string; owner: string },
): Promise<Job> {
  const call: Call = {
    method: 'POST',
    kind: kinds.job,
    namespace,
    query: writeQuery,
    body,
  };
  const answer = await api.send<Job>(call);
  if ('object' in answer) return answer.object;
  if (answer.refusal.reason !== 'AlreadyExists') throw api.failure(call, answer.refusal);
  const found = await findJob(api, namespace, job.name);
  if (found === undefined || found.metadata?.deletionTimestamp !== undefined) {
    throw new Failure('conflict', `Job ${job.name} of before is being deleted: it is started when that is gone.`);
  }
  if (found.metadata?.labels?.[labelKeys.owner] !== job.owner) throw foreign(namespace, job.name);
  return found;
}

async function findJob(api: KubernetesApi, namespace: string, name: string): Promise<Job | undefined> {
  const job = await api.read<Job>(kinds.job, namespace, name);
  if (job !== undefined && job.metadata?.labels?.[labelKeys.managedBy] !== managedBy) throw foreign(namespace, name);
  return job;
}

function foreign(namespace: string, name: string): Failure {
  return new Failure('foreign-object', `Job ${namespace}/${name} is not ours: somebody else made it. Move it away.`);
}

/** The Job's reason, and how the container ended: `BackoffLimitExceeded` alone says nothing. */
async function whyFailed(
  api: KubernetesApi,
  { namespace, name, end }: { namespace: string; name: string; end: { reason?: string; message?: string } },
): Promise<{ reason: string; wasInterrupted: boolean; exitCode?: number }> {
  const query = { labelSelector: `batch.kubernetes.io/job-name=${name}`, limit: '5' };
  const pods = await api.list<Pod>(kinds.pod, namespace, query);
  // Init containers last: a sidecar that was ended with the others says nothing.
  const ends = pods
    .flatMap(({ status }) => [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])])
    .map(({ state }) => state?.terminated);
  const bad = ends.find((terminated) => terminated !== undefined && terminated.exitCode !== 0);
  const last = bad?.message?.trimEnd().split('\n').at(-1);
  const container = bad
    ? `, exit code ${bad.exitCode}${bad.reason ? ` (${bad.reason})` : ''}${last ? `: ${oneLine(last, 300)}` : ''}`
    : '';
  const reason = `${end.reason ?? 'Failed'}${container}${end.message ? `: ${end.message}` : ''}`;
  // Killed by a signal, or gone with its node before anybody saw how it ended. Its own deadline is not an interruption.
  const isKilled = bad === undefined || bad.exitCode > 128;
  const wasInterrupted = isKilled && end.reason !== 'DeadlineExceeded';
  return { reason, wasInterrupted, ...(bad === undefined ? {} : { exitCode: bad.exitCode }) };
}
