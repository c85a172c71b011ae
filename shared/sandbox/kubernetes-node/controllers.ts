import { randomBytes } from 'node:crypto';
import type { KubernetesClient, Resource } from '../kubernetes-client.ts';
import { type Informer, type InformerHandler, startInformer } from '../kubernetes-informer.ts';
import { decidePods, sortPods } from './deployment-decision.ts';
import { deploymentStatus, nextStatusChangeMs } from './deployment-status.ts';
import { decideJob } from './job-decision.ts';
import { type Deployment, deployments, type Job, jobs, type Pod, pods as podResource } from './objects.ts';
import { generatedName, type Owner, podFromTemplate, templateHashLabel } from './pod-template.ts';
import { writeStatus } from './status-writer.ts';
import { openWorkQueue } from './work-queue.ts';

export type ControllerContext = {
  client: KubernetesClient;
  namespace: string;
  pods: Informer<Pod>;
  onError: (error: unknown) => void;
};

export type Controllers = {
  /** To be called for each pod that changed or went, so that its owner is looked at. */
  podChanged(pod: Pod): void;
  stop(): Promise<void>;
};

/** Makes the pods of Deployments and Jobs and reports how they fare. */
export async function startControllers(context: ControllerContext): Promise<Controllers> {
  const deployment = await startController(context, deployments, reconcileDeployment);
  const job = await startController(context, jobs, reconcileJob);
  return {
    podChanged(pod) {
      for (const owner of pod.metadata.ownerReferences ?? []) {
        if (owner.kind === 'Deployment') deployment.add(owner.name);
        if (owner.kind === 'Job') job.add(owner.name);
      }
    },
    async stop() {
      await Promise.all([deployment.stop(), job.stop()]);
    },
  };
}

/** Returns when to look again although nothing changed, in milliseconds since the epoch. */
type Reconcile<T> = (
  context: ControllerContext,
  object: T,
  learn: (object: T) => void,
) => Promise<number | undefined | void>;

async function startController<T extends Deployment | Job>(
  context: ControllerContext,
  resource: Resource<T>,
  reconcile: Reconcile<T>,
) {
  let informer: Informer<T> | undefined;
  const queue = openWorkQueue(async (name) => {
    const object = informer?.get(name);
    if (informer === undefined || object === undefined || object.metadata.deletionTimestamp !== undefined) return;
    const againMs = await reconcile(context, object, informer.learn);
    if (againMs !== undefined) queue.add(name, { delayMs: againMs - Date.now() });
  }, context.onError);
  const handler: InformerHandler<T> = {
    changed: (object) => queue.add(object.metadata.name),
    failed: context.onError,
  };
  informer = await startInformer(context.client, resource, { namespace: context.namespace, handler });
  for (const object of informer.list()) queue.add(object.metadata.name);
  const started = informer;
  return {
    add: (name: string) => queue.add(name),
    async stop() {
      await Promise.all([queue.stop(), started.stop()]);
    },
  };
}

const reconcileDeployment: Reconcile<Deployment> = async (context, deployment, learn) => {
  const now = Date.now();
  const before = sortPods(deployment, context.pods.list());
  const { create, remove } = decidePods(deployment, before, now);
  const owner: Owner = { ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' };
  await deletePods(context, remove);
  await createPods(context, {
    owner,
    template: deployment.spec.template,
    prefix: `${deployment.metadata.name}-${before.hash}`,
    labels: { [templateHashLabel]: before.hash },
    count: create,
  });
  const after = sortPods(deployment, context.pods.list());
  const compute = (current: Deployment) => deploymentStatus({ ...current, spec: deployment.spec }, after, now);
  const written = await writeStatus(context.client, deployments, { object: deployment, compute });
  if (written === undefined) return undefined;
  learn(written);
  return nextStatusChangeMs(written, after, now);
};

const reconcileJob: Reconcile<Job> = async (context, job, learn) => {
  const { client, namespace, pods } = context;
  const decision = decideJob(job, pods.list(), Date.now());
  const { name, uid = '' } = job.metadata;
  if (decision.isExpired) {
    await client.delete(jobs, { namespace, name }, { uid, propagationPolicy: 'Background' });
    return undefined;
  }
  await deletePods(context, decision.remove);
  await createPods(context, {
    owner: { ...job, apiVersion: 'batch/v1', kind: 'Job' },
    template: job.spec.template,
    prefix: name,
    labels: jobLabels(job),
    count: decision.create,
  });
  const written = await writeStatus(client, jobs, { object: job, compute: () => decision.status });
  if (written !== undefined) learn(written);
  return decision.nextAtMs;
};

function jobLabels({ metadata: { name, uid = '' } }: Job): Record<string, string> {
  return {
    'batch.kubernetes.io/job-name': name,
    'batch.kubernetes.io/controller-uid': uid,
    'job-name': name,
    'controller-uid': uid,
  };
}

type Wanted = {
  owner: Owner;
  template: Deployment['spec']['template'];
  prefix: string;
  labels: Record<string, string>;
  count: number;
};

async function createPods({ client, namespace, pods }: ControllerContext, wanted: Wanted): Promise<void> {
  for (let made = 0; made < wanted.count; made += 1) {
    const name = generatedName(wanted.prefix, randomBytes(5));
    const pod = podFromTemplate(wanted.owner, wanted.template, { name, labels: wanted.labels });
    // Known at once: a second look before the watch brings the pod would make another one.
    pods.learn(await client.create(podResource, namespace, pod));
  }
}

async function deletePods({ client, namespace, pods }: ControllerContext, surplus: readonly Pod[]): Promise<void> {
  for (const { metadata } of surplus) {
    await client.delete(podResource, { namespace, name: metadata.name }, { uid: metadata.uid ?? '' });
    const current = await client.get(podResource, namespace, metadata.name);
    if (current !== undefined) pods.learn(current);
  }
}
