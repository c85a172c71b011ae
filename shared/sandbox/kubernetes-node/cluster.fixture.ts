import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Image } from '../image.ts';
import { startKubernetesApi } from '../kubernetes/server.ts';
import { type KubernetesClient, openKubernetesClient } from '../kubernetes-client.ts';
import { openProcessGroup } from '../processes.ts';
import { type Container, type Deployment, deployments, isPodReady, type Job, type Pod, pods } from './objects.ts';
import { startProcessNode } from './process-node.ts';

export const namespace = 'default';
const program = fileURLToPath(new URL('./program.fixture.ts', import.meta.url));

const host: Image = { kind: 'host', entrypoint: [process.execPath, program], env: {} };
/** The machine's own files as the image's root: whatever is written must not reach them. */
const root: Image = { ...host, kind: 'root', rootFolder: '/', user: { uid: 12345, gid: 12345 } };

export type TestCluster = {
  client: KubernetesClient;
  folder: string;
  kubeconfigFile: string;
  create(object: Deployment): Promise<unknown>;
  /** Of the Deployment of this name. */
  podsOf(name: string): Promise<Pod[]>;
  /** Waits for one. */
  readyPod(name: string): Promise<Pod>;
  /** Of the Job of this name. */
  jobPods(name: string): Promise<Pod[]>;
  restartNode(): Promise<void>;
  stop(): Promise<void>;
};

/** The sandbox's API server and a process node whose image `program` is the small test program. */
export async function startTestCluster(): Promise<TestCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'process-node-'));
  await chmod(folder, 0o711); // for pods of other users
  const api = await startKubernetesApi({ folder: join(folder, 'api') });
  const { kubeconfigFile } = api;
  const processes = await openProcessGroup();
  const start = () =>
    startProcessNode({
      kubeconfigFile,
      namespace,
      folder: join(folder, 'node'),
      processes,
      images: async (image) => ({ program: host, 'program-in-root': root })[image],
    });
  let node = await start();
  const client = await openKubernetesClient(kubeconfigFile);
  const podsWith = async (labelSelector: string) => (await client.list(pods, namespace, { labelSelector })).items;
  const podsOf = (name: string) => podsWith(`app=${name}`);
  return {
    client,
    folder,
    kubeconfigFile,
    create: (object) => client.create(deployments, namespace, object),
    podsOf,
    readyPod: (name) => until(`a ready pod of ${name}`, async () => (await podsOf(name)).find(isPodReady)),
    jobPods: (name) => podsWith(`job-name=${name}`),
    async restartNode() {
      await node.stop();
      node = await start();
    },
    async stop() {
      await node.stop();
      await client.close();
      await processes.stopAll();
      await api.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Polls until the check gives something; the last error or `what` explains a failure. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  { timeoutMs = 45_000 } = {},
): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadlineMs) {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last });
}

export function container(fields: Partial<Container> = {}): Container {
  return { name: 'main', image: 'program', args: ['serve', '$(POD_IP)', '8080'], env: [podIPVariable], ...fields };
}

const podIPVariable = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };

export function deployment(
  name: string,
  main: Container,
  fields: Partial<Deployment['spec']> & { podSpec?: Partial<Deployment['spec']['template']['spec']> } = {},
): Deployment {
  const { podSpec, ...spec } = fields;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [main], ...podSpec } },
      ...spec,
    },
  };
}

export function job(name: string, main: Container, spec: Partial<Job['spec']> = {}): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace },
    spec: { template: { spec: { containers: [main], restartPolicy: 'Never' } }, ...spec },
  };
}
