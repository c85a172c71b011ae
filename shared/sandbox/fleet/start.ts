import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Broker, startBroker } from '#shared/sandbox/broker/broker.ts';
import type { Faults } from '#shared/sandbox/broker/faults.ts';
import { type FunctionHosts, startFunctionHosts } from '#shared/sandbox/functions/hosts.ts';
import type { FunctionProgram, HostEvent } from '#shared/sandbox/functions/instance.ts';
import { startTicker } from '#shared/sandbox/functions/ticker.ts';
import type { Image } from '#shared/sandbox/image.ts';
import { startIngressProxy, startServiceProxy } from '#shared/sandbox/ingress/ingress.ts';
import { startApiServerSource } from '#shared/sandbox/kubernetes/api-server-source.ts';
import { type KubernetesApiOptions, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { startProcessNode } from '#shared/sandbox/kubernetes-node/process-node.ts';
import { readManifests, type Trigger } from '#shared/sandbox/manifests.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { functionProgram, writeSecretFiles } from './function-programs.ts';
import { keepMemory, recallMemory } from './memory.ts';
import { openRecords, type PlatformRecords } from './records.ts';
import { odooImage, odooServerId, seedRecords } from './seed.ts';
import { type FleetServers, startServers } from './servers.ts';
import { applySuspensionPage, suspensionPageImage, suspensionPageReference } from './suspension-page.ts';

const manifestsFolder = fileURLToPath(new URL('../../../knative/base/', import.meta.url));

/** Namespace of the instances' objects. */
export const tenantNamespace = 'odoo-tenants';

export type FleetOptions = {
  /** Data, logs and secrets; a second fleet on it continues the first. One fleet at a time. */
  folder: string;
  /** How the image `odoo:19` runs here. */
  odoo: Image;
  /** Part of the template's identity: another one builds another template. */
  imageDigest: string;
  /** Keeps functions running instead of stopping the idle ones. */
  warm?: boolean;
  idleMs?: number;
  /** Processes per function at most, for all or by name; 1 unless stated. */
  maxScale?: number | Readonly<Record<string, number>>;
  tickMs?: number;
  /** Ready clones per Odoo server. */
  warmTarget?: number;
  maxInstances?: number;
  /** False gives up crash safety of the database servers for speed: for tests. */
  durable?: boolean;
  ingressPort?: number;
  /** Settings of the functions on top: `LEASE_MS`, `LOG_LEVEL`. */
  functionSettings?: Record<string, string>;
  /** Where the broker finds functions instead of at their host: `<gatewayUrl>/<function>`. For tests that come in between. */
  gatewayUrl?: string;
  postgresSettings?: Record<string, string>;
  /** What happens to requests to the API server, whoever sends them. For tests. */
  kubernetesIntercept?: NonNullable<KubernetesApiOptions['intercept']>;
  /** Odoo PostgreSQL servers; 1 unless stated. */
  odooServers?: number;
  /** On top of what every Trigger's manifest says: a shorter retry window. */
  delivery?: Partial<Trigger['delivery']>;
  /** What runs the containers' processes, given the fleet's own and its folder; a light one for tests of hundreds of instances. */
  nodeProcesses?: (
    processes: ProcessGroup,
    place: { folder: string },
  ) => Promise<{ processes: ProcessGroup; stop(): Promise<void> }>;
  faults?: Faults;
  /** Where functions reach PgBouncer, given its own address: a test's proxy. The fleet's own parts use PgBouncer itself. */
  functionBouncer?: (bouncer: { host: string; port: number }) => Promise<{ host: string; port: number }>;
  onProgress?: (message: string) => void;
  onFunction?: (event: HostEvent) => void;
};

/** A whole fleet on one machine. */
export type Fleet = {
  folder: string;
  processes: ProcessGroup;
  servers: FleetServers;
  records: PlatformRecords;
  broker: Broker;
  functions: FunctionHosts;
  /** How a function is started. */
  programOf(name: string): FunctionProgram;
  kubeconfigFile: string;
  ingressPort: number;
  /** `host:port` that stands for the network of Services. */
  serviceProxy: string;
  stop(): Promise<void>;
};

/** Things that were started, to be stopped last first, whatever one of them answers. */
function stopList() {
  const stops: { name: string; stop: () => Promise<unknown> }[] = [];
  return {
    add<Started extends { stop(): Promise<unknown> }>(name: string, started: Started): Started {
      stops.push({ name, stop: () => started.stop() });
      return started;
    },
    push: (name: string, stop: () => Promise<unknown>) => stops.push({ name, stop }),
    async stopAll() {
      const errors: unknown[] = [];
      for (const { name, stop } of stops.toReversed()) {
        await stop().catch((error: unknown) => errors.push(new Error(`${name} did not stop`, { cause: error })));
      }
      if (errors.length > 0) throw new AggregateError(errors, 'parts of the fleet did not stop');
    },
  };
}

/**
 * Brings up a whole fleet: servers, records, broker, cluster, functions. Everything it starts ends with this process.
 * When a part cannot start, what was started before it is stopped again.
 */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const say = options.onProgress ?? ((): void => undefined);
  await mkdir(options.folder, { recursive: true, mode: 0o711 });
  const stops = stopList();
  try {
    return await startParts(options, stops, say);
  } catch (error) {
    await stops.stopAll().catch(say.bind(undefined, 'some parts did not stop'));
    throw error;
  }
}

async function startParts(
  options: FleetOptions,
  stops: ReturnType<typeof stopList>,
  say: (message: string) => void,
): Promise<Fleet> {
  const { folder } = options;
  const processes = await openProcessGroup();
  stops.push('processes', () => processes.stopAll());
  const memoryFile = join(folder, 'secrets', 'memory.json');
  const memory = await recallMemory(memoryFile);
  // The API server and the database servers know nothing of each other: side by side.
  const [servers, cluster] = await Promise.all([
    startServers({ ...options, processes, memory }).then((started) => stops.add('database servers', started)),
    startCluster(options, { processes, ...(memory.ingressPort ? { ingressPort: memory.ingressPort } : {}) }).then(
      (started) => stops.add('cluster', started),
    ),
  ]);
  say('PostgreSQL (platform, Odoo), PgBouncer, Redis and the Kubernetes API answer');
  await keepMemory(memoryFile, {
    ...memory,
    odooPostgresPorts: servers.odooServers.map(({ port }) => port),
    ingressPort: cluster.ingressPort,
  });
  const secretsFolder = join(folder, 'secrets');
  await writeSecretFiles(secretsFolder, {
    'platform-postgres': memory.platformPassword,
    redis: memory.redisPassword,
    ...Object.fromEntries(
      servers.odooServers.map((_, index) => [join('db-servers', odooServerId(index)), memory.odooAdminPassword]),
    ),
  });
  const records = await openRecords(servers, memory.platformPassword);
  stops.push('records', () => records.end());
  await seedRecords(records, {
    ingressPort: cluster.ingressPort,
    odooServers: servers.odooServers,
    maxInstances: options.maxInstances ?? 50,
    warmTarget: options.warmTarget ?? 2,
    imageDigest: options.imageDigest,
  });
  const eventing = await startEventing(options, { processes, servers, cluster, secretsFolder, stops });
  // Last, as its program starts by itself while the fleet is at work already.
  await applySuspensionPage({ kubeconfigFile: cluster.kubeconfigFile, manifestsFolder });
  say('broker, functions and ticks are ready');
  return {
    folder,
    processes,
    servers,
    records,
    ...eventing,
    kubeconfigFile: cluster.kubeconfigFile,
    ingressPort: cluster.ingressPort,
    serviceProxy: cluster.serviceProxy,
    stop: () => stops.stopAll(),
  };
}

type Cluster = Awaited<ReturnType<typeof startCluster>>;

async function startCluster(options: FleetOptions, given: { processes: ProcessGroup; ingressPort?: number }) {
  const stops = stopList();
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
  ]);
  const own = await options.nodeProcesses?.(given.processes, { folder: options.folder });
  if (own !== undefined) stops.add('containers', own);
  const node = await startProcessNode({
    kubeconfigFile,
    namespace: tenantNamespace,
    folder: join(folder, 'node'),
    processes: own?.processes ?? given.processes,
    images: async (image) => images.get(image),
  });
  stops.add('node', node);
  const port = options.ingressPort ?? given.ingressPort;
  const ingress = await startIngressProxy({
    kubeconfigFile,
    namespace: tenantNamespace,
    ...(port === undefined ? {} : { port }),
  });
  stops.add('ingress', ingress);
  const services = stops.add('services', await startServiceProxy({ kubeconfigFile, namespace: tenantNamespace }));
  return {
    kubeconfigFile,
    ingressPort: ingress.port,
    serviceProxy: `127.0.0.1:${services.port}`,
    stop: () => stops.stopAll(),
  };
}

async function startEventing(
  options: FleetOptions,
  given: {
    processes: ProcessGroup;
    servers: FleetServers;
    cluster: Cluster;
    secretsFolder: string;
    stops: ReturnType<typeof stopList>;
  },
): Promise<Pick<Fleet, 'broker' | 'functions' | 'programOf'>> {
  const { cluster, servers, stops, processes } = given;
  const manifests = await readManifests(manifestsFolder);
  // Functions and broker name each other; the functions' addresses are asked for at each delivery only.
  const holder: { functions?: FunctionHosts } = {};
  const urlOf = (name: string): string => {
    if (options.gatewayUrl !== undefined) return `${options.gatewayUrl}/${name}`;
    if (holder.functions === undefined) throw new Error('the functions are not there yet');
    return holder.functions.url(name);
  };
  const hostsPort = await freePort();
  const functionNames = new Set(manifests.services.map(({ name }) => name));
  const broker = await startBroker({
    folder: join(options.folder, 'broker'),
    triggers: manifests.triggers.map((trigger) => ({
      ...trigger,
      delivery: { ...trigger.delivery, ...options.delivery },
    })),
    subscriberUrl: urlOf,
    // an address also before the functions are there: what an earlier run dead-lettered is delivered at once
    deadLetterUrl: (name) => (functionNames.has(name) ? `http://127.0.0.1:${hostsPort}/${name}` : undefined),
    ...(options.faults === undefined ? {} : { faults: options.faults }),
  });
  const bouncer = (await options.functionBouncer?.(servers.bouncer)) ?? servers.bouncer;
  const programOf = (name: string): FunctionProgram =>
    functionProgram(name, {
      secretsFolder: given.secretsFolder,
      bouncer,
      redis: servers.redis,
      brokerUrl: broker.url,
      kubeconfigFile: cluster.kubeconfigFile,
      tenantConnectTo: cluster.serviceProxy,
      functionUrl: `http://127.0.0.1:${hostsPort}/{function}`,
      spoolFolder: join(options.folder, 'object-store'),
      extra: options.functionSettings ?? {},
    });
  const programs = manifests.services.map(({ name, containerConcurrency, timeoutMs }) => {
    return [
      name,
      { ...programOf(name), containerConcurrency, timeoutMs, maxScale: maxScaleOf(options, name) },
    ] as const;
  });
  const functions = await startFunctionHosts({
    functions: Object.fromEntries(programs),
    folder: join(options.folder, 'functions'),
    port: hostsPort,
    processes,
    idleMs: options.idleMs ?? 60_000,
    warm: options.warm ?? false,
    ...(options.onFunction === undefined ? {} : { log: options.onFunction }),
  });
  holder.functions = functions;
  stops.push('functions', () => functions.stopAll());
  // Before the functions in the order of stopping: nothing is delivered to what is going away.
  stops.add('broker', broker);
  const source = await startApiServerSource({
    kubeconfigFile: cluster.kubeconfigFile,
    sink: broker.url,
    namespace: tenantNamespace,
    resources: manifests.watched,
  });
  stops.add('cluster events', source);
  const ticks = startTicker({
    everyMs: options.tickMs ?? 2_000,
    target: functions.url('reconcile'),
    source: '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile',
  });
  stops.add('ticks', ticks);
  return { broker, functions, programOf };
}

function maxScaleOf({ maxScale = 1 }: FleetOptions, name: string): number {
  return typeof maxScale === 'number' ? maxScale : (maxScale[name] ?? 1);
}

/** Removes everything of an earlier fleet in a folder. */
export async function forgetFleet(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
}
