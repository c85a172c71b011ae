import { join } from 'node:path';
import type { Image } from '#shared/sandbox/image.ts';
import { startIngressProxy, startServiceProxy } from '#shared/sandbox/ingress/ingress.ts';
import { type KubernetesApiOptions, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { startProcessNode } from '#shared/sandbox/kubernetes-node/process-node.ts';
import type { ProcessGroup } from '#shared/sandbox/processes.ts';
import { workerImage, workerReference } from './backups.ts';
import { odooImage } from './seed.ts';
import { type StopList, stopList } from './stop-list.ts';
import { suspensionPageImage, suspensionPageReference } from './suspension-page.ts';

export type ClusterOptions = {
  folder: string;
  /** How the image `odoo:19` runs here. */
  odoo: Image;
  /** How the worker image runs here; the checkout's own program unless stated. */
  worker?: Image;
  ingressPort?: number;
  /** What happens to requests to the API server, whoever sends them. For tests. */
  kubernetesIntercept?: NonNullable<KubernetesApiOptions['intercept']>;
  /** What runs the containers' processes, given the fleet's own and its folder; a light one for tests of hundreds of instances. */
  nodeProcesses?: (
    processes: ProcessGroup,
    place: { folder: string },
  ) => Promise<{ processes: ProcessGroup; stop(): Promise<void> }>;
};

export type Cluster = Awaited<ReturnType<typeof startCluster>>;

type Given = { namespace: string; processes: ProcessGroup; ingressPort?: number };

/** The Kubernetes API, what runs the containers, and the ways to them. When one cannot start, the others are stopped again. */
export async function startCluster(options: ClusterOptions, given: Given) {
  const stops = stopList();
  try {
    return await startParts(options, given, stops);
  } catch (error) {
    await stops.stopAll();
    throw error;
  }
}

async function startParts(options: ClusterOptions, given: Given, stops: StopList) {
  const { namespace } = given;
  const folder = join(options.folder, 'cluster');
  const { kubernetesIntercept: intercept } = options;
  const api = stops.add(
    'Kubernetes API',
    await startKubernetesApi({ folder: join(folder, 'api'), ...(intercept === undefined ? {} : { intercept }) }),
  );
  const { kubeconfigFile } = api;
  const images = new Map([
    [odooImage, options.odoo],
    [suspensionPageReference, suspensionPageImage()],
    [workerReference, options.worker ?? workerImage()],
  ]);
  const own = await options.nodeProcesses?.(given.processes, { folder: options.folder });
  if (own !== undefined) stops.add('containers', own);
  const node = await startProcessNode({
    kubeconfigFile,
    namespace,
    folder: join(folder, 'node'),
    processes: own?.processes ?? given.processes,
    images: async (image) => images.get(image),
  });
  stops.add('node', node);
  const port = options.ingressPort ?? given.ingressPort;
  const ingress = await startIngressProxy({
    kubeconfigFile,
    namespace,
    ...(port === undefined ? {} : { port }),
  });
  stops.add('ingress', ingress);
  const services = stops.add('services', await startServiceProxy({ kubeconfigFile, namespace }));
  return {
    kubeconfigFile,
    ingressPort: ingress.port,
    serviceProxy: `127.0.0.1:${services.port}`,
    stop: () => stops.stopAll(),
  };
}
