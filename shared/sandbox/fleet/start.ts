import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readManifests } from '#shared/sandbox/manifests.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { backupFolderOf, keyRingOf, makeBackupFolder, webhookKeyRingOf } from './backups.ts';
import { type ClusterOptions, startCluster } from './cluster.ts';
import { type Eventing, type EventingOptions, startEventing } from './eventing.ts';
import { writeSecretFiles } from './function-programs.ts';
import { keepMemory, recallMemory } from './memory.ts';
import { openRecords, type PlatformRecords } from './records.ts';
import { odooServerId, seedRecords, verificationServerId } from './seed.ts';
import { type FleetServers, startServers } from './servers.ts';
import { type StopList, stopList } from './stop-list.ts';
import { applySuspensionPage } from './suspension-page.ts';

const manifestsFolder = fileURLToPath(new URL('../../../knative/base/', import.meta.url));

/** Namespace of the instances' objects. */
export const tenantNamespace = 'odoo-tenants';

export type FleetOptions = ClusterOptions &
  EventingOptions & {
    /** Data, logs and secrets; a second fleet on it continues the first. One fleet at a time. */
    folder: string;
    /** Part of the template's identity: another one builds another template. */
    imageDigest: string;
    /** Ready clones per Odoo server. */
    warmTarget?: number;
    maxInstances?: number;
    /** False gives up crash safety of the database servers for speed: for tests. */
    durable?: boolean;
    postgresSettings?: Record<string, string>;
    /** Odoo PostgreSQL servers; 1 unless stated. */
    odooServers?: number;
    /** Another PostgreSQL server, to restore backups on: without it they can be made and not verified. */
    hasVerificationServer?: boolean;
    onProgress?: (message: string) => void;
  };

/** A whole fleet on one machine. */
export type Fleet = Eventing & {
  folder: string;
  processes: ProcessGroup;
  servers: FleetServers;
  records: PlatformRecords;
  kubeconfigFile: string;
  ingressPort: number;
  /** `host:port` that stands for the network of Services. */
  serviceProxy: string;
  stop(): Promise<void>;
};

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

async function startParts(options: FleetOptions, stops: StopList, say: (message: string) => void): Promise<Fleet> {
  const { folder } = options;
  const processes = await openProcessGroup();
  stops.push('processes', () => processes.stopAll());
  const memoryFile = join(folder, 'secrets', 'memory.json');
  const memory = await recallMemory(memoryFile);
  // The API server and the database servers know nothing of each other: side by side.
  const [servers, cluster] = await Promise.all([
    startServers({ ...options, processes, memory }).then((started) => stops.add('database servers', started)),
    startCluster(options, {
      namespace: tenantNamespace,
      processes,
      ...(memory.ingressPort ? { ingressPort: memory.ingressPort } : {}),
    }).then((started) => stops.add('cluster', started)),
  ]);
  say('PostgreSQL (platform, Odoo), PgBouncer, Redis and the Kubernetes API answer');
  await keepMemory(memoryFile, {
    ...memory,
    odooPostgresPorts: servers.odooServers.map(({ port }) => port),
    ...(servers.verification && { verificationPort: servers.verification.port }),
    ingressPort: cluster.ingressPort,
  });
  const secretsFolder = join(folder, 'secrets');
  await writeSecretFiles(secretsFolder, {
    'platform-postgres': memory.platformPassword,
    redis: memory.redisPassword,
    'backup-keys': keyRingOf(memory),
    'webhook-keys': webhookKeyRingOf(memory),
    [join('db-servers', verificationServerId)]: memory.odooAdminPassword,
    ...Object.fromEntries(
      servers.odooServers.map((_, index) => [join('db-servers', odooServerId(index)), memory.odooAdminPassword]),
    ),
  });
  const records = await openRecords(servers, memory.platformPassword);
  stops.push('records', () => records.end());
  await seedRecords(records, {
    ingressPort: cluster.ingressPort,
    odooServers: servers.odooServers,
    verificationServer: servers.verification,
    maxInstances: options.maxInstances ?? 50,
    warmTarget: options.warmTarget ?? 2,
    imageDigest: options.imageDigest,
  });
  await makeBackupFolder(backupFolderOf(folder));
  const eventing = await startEventing(options, {
    manifests: await readManifests(manifestsFolder),
    tenantNamespace,
    processes,
    servers,
    cluster,
    secretsFolder,
    stops,
  });
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

/** Removes everything of an earlier fleet in a folder. */
export async function forgetFleet(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
}
