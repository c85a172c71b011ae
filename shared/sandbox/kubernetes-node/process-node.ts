import { appendFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from '../image.ts';
import { type KubernetesClient, openKubernetesClient } from '../kubernetes-client.ts';
import { type Informer, startInformer } from '../kubernetes-informer.ts';
import type { ProcessGroup } from '../processes.ts';
import { startClaims } from './claims.ts';
import { type Controllers, startControllers } from './controllers.ts';
import type { Sources } from './environment.ts';
import { settleLeftovers } from './leftovers.ts';
import { configMaps, defaultGraceSeconds, isPodFinished, type Pod, pods as podResource, secrets } from './objects.ts';
import { openPodAddresses } from './pod-addresses.ts';
import { podStatus } from './pod-status.ts';
import { type PodWorker, type PodWorkerDeps, startPodWorker } from './pod-worker.ts';
import { writeStatus } from './status-writer.ts';
import { openWorkQueue } from './work-queue.ts';

/** How an image named in a pod runs here; `undefined` if this machine has no such image. */
type ImageCatalogue = (image: string) => Promise<Image | undefined>;

export type ProcessNodeOptions = {
  kubeconfigFile: string;
  namespace: string;
  /** `logs/<pod>/<container>.log`, `claims/` (kept), `pods/` (emptied at each start) and `node.log`. */
  folder: string;
  processes: ProcessGroup;
  images: ImageCatalogue;
};

export type ProcessNode = { stop(): Promise<void> };

/** How long `stop` waits for a pod's processes; the fleet is going down and its data lies in the servers. */
const stopGraceMs = 5_000;

/**
 * A Kubernetes node without containers: makes the pods of Deployments and Jobs of one namespace, runs each container's
 * command as a process of this machine, probes it and reports status as the real controllers and the kubelet do.
 *
 * Simulated: a pod's network is a loopback address of its own, and programs must bind to it (`status.podIP`); limits,
 * capabilities, NetworkPolicies and sizes of volumes are not enforced. Not supported: sidecar init containers, lifecycle
 * hooks, gRPC probes, suspended and indexed Jobs, pausing a Deployment, ReplicaSets as objects.
 * What fails in the background is tried again and written to `node.log`.
 */
export async function startProcessNode(options: ProcessNodeOptions): Promise<ProcessNode> {
  const { namespace, folder } = options;
  await mkdir(folder, { recursive: true });
  await rm(join(folder, 'pods'), { recursive: true, force: true });
  await mkdir(join(folder, 'pods'), { mode: 0o711 });
  const onError = errorLog(join(folder, 'node.log'));
  const client = await openKubernetesClient(options.kubeconfigFile);
  const sources: Sources = {
    secret: (name) => client.get(secrets, namespace, name),
    configMap: (name) => client.get(configMaps, namespace, name),
  };
  const claims = await startClaims({ client, namespace, folder: join(folder, 'claims'), onError });
  await settleLeftovers(client, namespace);

  let controllers: Controllers | undefined;
  const kubelet = await startKubelet({
    client,
    namespace,
    onError,
    podChanged: (pod) => controllers?.podChanged(pod),
    worker: {
      folder,
      isRoot: process.getuid?.() === 0,
      processes: options.processes,
      claims,
      sources,
      findImage: options.images,
      onError,
    },
  });
  controllers = await startControllers({ client, namespace, pods: kubelet.pods, onError });
  return {
    async stop() {
      await controllers.stop();
      await kubelet.stop();
      await claims.stop();
      await client.close();
    },
  };
}

type KubeletOptions = {
  client: KubernetesClient;
  namespace: string;
  onError: (error: unknown) => void;
  podChanged(pod: Pod): void;
  worker: Omit<PodWorkerDeps, 'podIP' | 'changed'>;
};

/** Starts a worker for each pod it sees, reports what the workers see, and stops pods that are being deleted. */
async function startKubelet(options: KubeletOptions): Promise<{ pods: Informer<Pod>; stop(): Promise<void> }> {
  const { client, namespace, onError } = options;
  const workers = new Map<string, PodWorker>();
  const addresses = openPodAddresses();

  const statusQueue = openWorkQueue(async (name) => {
    const pod = pods.get(name);
    const worker = workers.get(name);
    if (pod === undefined || worker === undefined || worker.uid !== pod.metadata.uid) return;
    await report(pod, worker);
  }, onError);

  async function report(pod: Pod, worker: PodWorker): Promise<void> {
    const compute = (current: Pod) => podStatus(current, worker.record, Date.now());
    const written = await writeStatus(client, podResource, { object: pod, compute });
    if (written !== undefined) pods.learn(written);
  }

  const podQueue = openWorkQueue(async (name) => {
    const pod = pods.get(name);
    const former = workers.get(name);
    if (former !== undefined && former.uid !== pod?.metadata.uid) {
      await former.stop(0);
      workers.delete(name);
    }
    if (pod === undefined) return;
    const worker = workers.get(name);
    if (pod.metadata.deletionTimestamp !== undefined) await finishDeletion(pod, worker);
    else if (worker === undefined && !isPodFinished(pod)) startWorker(pod);
  }, onError);

  function startWorker(pod: Pod): void {
    const { name } = pod.metadata;
    const podIP = addresses.take();
    const worker = startPodWorker(pod, { ...options.worker, podIP, changed: () => statusQueue.add(name) });
    workers.set(name, worker);
    void worker.rested.then(() => addresses.release(podIP));
  }

  async function finishDeletion(pod: Pod, worker: PodWorker | undefined): Promise<void> {
    const { name, uid = '', deletionGracePeriodSeconds } = pod.metadata;
    if (worker !== undefined) {
      const seconds = deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds;
      await worker.stop(seconds * 1000);
      worker.record.hasEnded = true;
      // The last status tells how the containers ended; a Job counts by it.
      await report(pods.get(name) ?? pod, worker);
    }
    await client.delete(podResource, { namespace, name }, { gracePeriodSeconds: 0, uid });
  }

  const pods = await startInformer(client, podResource, {
    namespace,
    handler: {
      changed(pod) {
        podQueue.add(pod.metadata.name);
        options.podChanged(pod);
      },
      deleted(pod) {
        // At once, also while a graceful stop is under way: nobody can see these processes any more.
        const worker = workers.get(pod.metadata.name);
        if (worker !== undefined && worker.uid === pod.metadata.uid) worker.stop(0).catch(onError);
        podQueue.add(pod.metadata.name);
        options.podChanged(pod);
      },
      failed: onError,
    },
  });

  return {
    pods,
    async stop() {
      await pods.stop();
      // Nothing more is reported: the next start tells what became of these pods, as after a kill.
      await statusQueue.stop();
      const stopping = [...workers.values()].map((worker) => worker.stop(stopGraceMs));
      await Promise.all([...stopping, podQueue.stop()]);
    },
  };
}

function errorLog(file: string): (error: unknown) => void {
  return (error) => {
    const text = error instanceof Error ? error.message : String(error);
    // A log that cannot be written must not stop the node.
    appendFile(file, `${new Date().toISOString()} ${text}\n`).catch(() => undefined);
  };
}
