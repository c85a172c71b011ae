import { mkdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { type DeployedFleet, deployFleet, importFunctions } from '#scripts/cluster/fleet/deploy.ts';
import { clusterStatus } from '#scripts/cluster/status.ts';
import { bringUpCluster } from '#scripts/cluster/up.ts';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import type { Surroundings } from '../surroundings.ts';

/** Events in flight at a time when the rate is measured. */
const connections = 16;

const namespace = 'odoo-fleet';
/** Of the namespace and the name. */
const brokerPath = '/odoo-fleet/fleet';
const bareName = 'bare';
export const bareType = 'dev.odoofleet.bench.bare';

export type World = {
  fleet: DeployedFleet;
  /** Posts an event to the Broker, and returns when that began, by this machine's clock. */
  post(event: { id: string; type: string; data: object }): Promise<number>;
  /** Asks a Knative Service of the fleet for a page, as a pod would. */
  ask(service: string, path: string): Promise<{ status: number; text: string }>;
  /** The pods of a Knative Service that are not going away. */
  podsOf(service: string): Promise<{ name: string; isReady: boolean }[]>;
  /** What a path of the API server answers. */
  read(path: string): Promise<string>;
  stop(): Promise<void>;
};

/** Why the fleet cannot be deployed on this machine now, as a sentence that says what to do; undefined when it can. */
export async function whyNoWorld(): Promise<string | undefined> {
  const { isRunning, kubeconfig } = await clusterStatus();
  if (!isRunning || kubeconfig === undefined) {
    return 'No cluster runs on this machine. Start it with npm run cluster -- up.';
  }
  const client = await openClusterClient(kubeconfig);
  try {
    const { body } = await client.request('GET', `/api/v1/namespaces/${namespace}`);
    if ((body['status'] as { phase?: string } | undefined)?.phase !== 'Active') return undefined;
    return `Somebody uses the namespace ${namespace} of this machine's cluster. End that, or delete the namespace.`;
  } finally {
    await client.close();
  }
}

/** The fleet on this machine's cluster, with a bare subscriber beside it at the same Broker. */
export async function openWorld({ folder, say }: Surroundings): Promise<World> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const cluster = await bringUpCluster({ say });
  const images = await importFunctions(cluster, { folder, say });
  const bareImage = await cluster.importImage(bareName, fileURLToPath(new URL('servers', import.meta.url)));
  const fleet = await deployFleet(cluster, { folder, images, say });
  const { kubectl } = fleet;
  const pools: Pool[] = [];
  const open = (origin: string, options: Pool.Options) => {
    const pool = new Pool(origin, options);
    pools.push(pool);
    return pool;
  };
  const stop = async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    await fleet.stop();
  };
  try {
    await kubectl.apply(bareObjects(bareImage));
    const wait = ['-n', namespace, 'wait', '--for=condition=Ready', `ksvc/${bareName}`, `trigger/${bareName}`];
    await kubectl.run([...wait, '--timeout=120s'], { timeoutMs: 130_000 });
    const clusterAddress = [
      '-n',
      'knative-eventing',
      'get',
      'service/broker-ingress',
      '-o',
      'jsonpath={.spec.clusterIP}',
    ];
    const broker = open(`http://${await kubectl.run(clusterAddress)}`, { connections });
    const ingress = open(`http://${cluster.ingress.address}`, { connections });
    return { fleet, post: (event) => post(broker, event), ...questions(fleet, ingress), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function post(broker: Pool, event: { id: string; type: string; data: object }): Promise<number> {
  const attributes = { 'ce-specversion': '1.0', 'ce-id': event.id, 'ce-type': event.type, 'ce-source': 'urn:bench' };
  const headers = { ...attributes, 'content-type': 'application/json' };
  const beganMs = performance.timeOrigin + performance.now();
  const answer = await broker.request({ method: 'POST', path: brokerPath, headers, body: JSON.stringify(event.data) });
  await answer.body.dump();
  if (answer.statusCode !== 202) throw new Error(`The Broker answered ${answer.statusCode}.`);
  return beganMs;
}

type Pod = {
  metadata: { name: string; deletionTimestamp?: string };
  status: { conditions?: { type: string; status: string }[] };
};

function questions({ kubectl }: DeployedFleet, ingress: Pool): Pick<World, 'ask' | 'podsOf' | 'read'> {
  return {
    async ask(service, path) {
      const headers = { host: `${service}.${namespace}.svc.cluster.local` };
      const answer = await ingress.request({ method: 'GET', path, headers, headersTimeout: 60_000 });
      return { status: answer.statusCode, text: await answer.body.text() };
    },
    async podsOf(service) {
      const selector = `serving.knative.dev/service=${service}`;
      const text = await kubectl.run(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json']);
      const { items } = JSON.parse(text) as { items: Pod[] };
      return items
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata: { name }, status: { conditions = [] } }) => {
          return { name, isReady: conditions.some((one) => one.type === 'Ready' && one.status === 'True') };
        });
    },
    read: (path) => kubectl.run(['get', '--raw', path]),
  };
}

/** Waits until none of the Knative Services has a pod. */
export async function untilAtZero(world: World, services: readonly string[], limitMs = 180_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const pods = (await Promise.all(services.map(world.podsOf))).flat();
    if (pods.length === 0) return;
    if (performance.now() > deadline) {
      throw new Error(`Still there after ${limitMs / 1_000} s: ${pods.map(({ name }) => name).join(', ')}.`);
    }
    await pause(500);
  }
}

/** As a function is deployed, so that only what is in the pod differs. One pod: it remembers what it received. */
function bareObjects(image: string): object[] {
  const metadata = {
    name: bareName,
    namespace,
    labels: { 'networking.knative.dev/visibility': 'cluster-local' },
  };
  const annotations = {
    'autoscaling.knative.dev/min-scale': '0',
    'autoscaling.knative.dev/max-scale': '1',
    'autoscaling.knative.dev/scale-down-delay': '0s',
  };
  const securityContext = {
    runAsNonRoot: true,
    runAsUser: 10_001,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const resources = { requests: { cpu: '10m', memory: '128Mi' }, limits: { memory: '384Mi' } };
  const readinessProbe = { httpGet: { path: '/received' } };
  const containers = [{ name: bareName, image, resources, readinessProbe, securityContext }];
  const subscriber = { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: bareName } };
  return [
    {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata,
      spec: { template: { metadata: { annotations }, spec: { timeoutSeconds: 120, containers } } },
    },
    {
      apiVersion: 'eventing.knative.dev/v1',
      kind: 'Trigger',
      metadata: { name: bareName, namespace },
      spec: { broker: 'fleet', filter: { attributes: { type: bareType } }, subscriber },
    },
  ];
}
