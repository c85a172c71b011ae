import { join } from 'node:path';
import { buildFunctions, functionNames } from '#scripts/build/build.ts';
import { bundleMigration } from '#scripts/build/migration.ts';
import { keyRingOf, webhookKeyRingOf } from '#shared/sandbox/fleet/backups.ts';
import { type FleetMemory, recallMemory } from '#shared/sandbox/fleet/memory.ts';
import { openRecords, type PlatformRecords } from '#shared/sandbox/fleet/records.ts';
import { odooServerId, seedRecords, verificationServerId } from '#shared/sandbox/fleet/seed.ts';
import { type FleetServers, startServers } from '#shared/sandbox/fleet/servers.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import type { S3Server } from '#shared/sandbox/servers/versitygw.ts';
import { type Kubectl, openKubectl } from '../kubectl.ts';
import type { RunningCluster } from '../up.ts';
import { bridgeTo } from './bridge.ts';
import { devManifests, type Manifest, machineService, secret } from './manifests.ts';
import { type Migrated, runMigrationJob } from './migrate.ts';
import { startObjectStore } from './object-store.ts';

const functionNamespace = 'odoo-fleet';
/** Leads to PostgreSQL itself, where `postgres` leads to PgBouncer. */
const directService = 'postgres-direct';
/** The first start of fourteen functions on two cores takes a minute. */
const readyTimeoutMs = 300_000;

export type DeployedFleet = {
  kubectl: Kubectl;
  /** The platform's records, for whoever watches from outside. */
  records: PlatformRecords;
  servers: FleetServers;
  /** Where backups are; there when they were asked for. */
  objectStore: S3Server | undefined;
  /** All that was applied, without the migration. */
  manifests: readonly Manifest[];
  /** Where publishers inside the cluster post. */
  brokerUrl: string;
  /** What the migration Job has done to the empty database. */
  migrated: Migrated;
  /** Runs the migration Job again, of the same image unless another is given. */
  migrate(image?: string): Promise<Migrated>;
  /** Removes both namespaces and ends the servers. */
  stop(): Promise<void>;
};

/**
 * Deploys all functions, of the given images, by the manifests of the overlay `dev`, after the migration Job has made the
 * tables. PostgreSQL, PgBouncer and Redis are private servers of this process on loopback, with roles and an empty
 * database of the platform's; pods reach them by the machine's address on the bridge. `hasBackups`: an S3 server and a
 * PostgreSQL server for verifications, too; the image `worker` must be among the images. `settings`: of all functions, over the
 * overlay's.
 */
export async function deployFleet(
  cluster: RunningCluster,
  options: {
    folder: string;
    images: ReadonlyMap<string, string>;
    hasBackups?: boolean;
    settings?: Readonly<Record<string, string>>;
    say(line: string): void;
  },
): Promise<DeployedFleet> {
  const { folder, images, hasBackups = false, say } = options;
  const kubectl = openKubectl({ program: cluster.kubectl, kubeconfig: cluster.kubeconfig });
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.toReversed()) await one();
  };
  try {
    // What is put into a namespace that is going away vanishes with it.
    await removeNamespaces(kubectl, ['--timeout=180s']);
    const odoo = await cluster.importOdoo();
    const memory = await recallMemory(join(folder, 'memory.json'));
    const { servers, ports, objectStore } = await reachableServers(cluster, { folder, memory, stops, hasBackups });
    say('PostgreSQL, PgBouncer and Redis are reachable from pods; applying the manifests ...');
    const imageOf = (name: string) => images.get(name) ?? name;
    const directHost = `${directService}.${functionNamespace}.svc`;
    const settings = {
      'odoo-fleet': {
        ...options.settings,
        ...(hasBackups && { WORKER_IMAGE: imageOf('worker') }),
        ...objectStore?.settings,
      },
      'platform-backup': { PLATFORM_POSTGRES_DIRECT_HOST: directHost },
    };
    const manifests = await devManifests(kubectl, { imageOf, settings });
    stops.push(() => removeNamespaces(kubectl, ['--wait=false']));
    const isNamespace = ({ kind }: Manifest) => kind === 'Namespace';
    await kubectl.apply(manifests.filter(isNamespace));
    await kubectl.apply(partsBeside(cluster, { memory, ports, objectStore }));
    const migrate = (image = imageOf('migrate')) => runMigrationJob(kubectl, { image, host: directHost });
    const migrated = await migrate();
    say(`the migration Job has applied ${migrated.applied.length} migrations in ${migrated.seconds} s`);
    const records = await openRecords(servers, memory.platformPassword);
    stops.push(() => records.end());
    await seedRecords(records, {
      ingressPort: 80,
      odooServers: [{ host: cluster.node.address, port: ports.odoo }],
      verificationServer:
        ports.verification === undefined ? undefined : { host: cluster.node.address, port: ports.verification },
      maxInstances: 50,
      warmTarget: 1,
      imageDigest: odoo,
      imageReference: odoo,
    });
    await kubectl.apply(manifests.filter((one) => !isNamespace(one)));
    await waitUntilReady(kubectl, { manifests, say });
    const brokerUrl = 'http://broker-ingress.knative-eventing.svc.cluster.local/odoo-fleet/fleet';
    return {
      kubectl,
      records,
      servers,
      objectStore: objectStore?.server,
      manifests,
      brokerUrl,
      migrated,
      migrate,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Ways to the servers outside the cluster, and the Secrets that the overlay leaves to be made. */
function partsBeside(
  cluster: RunningCluster,
  { memory, ports, objectStore }: { memory: FleetMemory } & Pick<Reachable, 'ports' | 'objectStore'>,
): object[] {
  const place = { namespace: functionNamespace, address: cluster.node.address };
  return [
    ...machineService('postgres', { ...place, port: 5432, targetPort: ports.bouncer }),
    ...machineService(directService, { ...place, port: 5432, targetPort: ports.platform }),
    ...machineService('redis', { ...place, port: 6379, targetPort: ports.redis }),
    secret('platform-postgres', functionNamespace, { password: memory.platformPassword }),
    secret('platform-postgres-direct', functionNamespace, { password: memory.platformPassword }),
    secret('redis', functionNamespace, { password: memory.redisPassword }),
    secret('odoo-postgres', functionNamespace, {
      [odooServerId(0)]: memory.odooAdminPassword,
      [verificationServerId]: memory.odooAdminPassword,
    }),
    ...(objectStore?.secrets ?? []),
    secret('backup-keys', functionNamespace, { 'keys.json': keyRingOf(memory) }),
    secret('webhook-keys', functionNamespace, { 'keys.json': webhookKeyRingOf(memory) }),
  ];
}

type Reachable = Awaited<ReturnType<typeof reachableServers>>;

/** Starts the servers and bridges each to the machine's address; `ports` are those of the bridges. */
async function reachableServers(
  cluster: RunningCluster,
  options: { folder: string; memory: FleetMemory; stops: (() => Promise<unknown>)[]; hasBackups: boolean },
) {
  const { folder, memory, stops, hasBackups } = options;
  const processes = await openProcessGroup();
  stops.push(() => processes.stopAll());
  const place = { folder: join(folder, 'servers'), processes, memory };
  const servers = await startServers({
    ...place,
    durable: false,
    isMigrated: false,
    hasVerificationServer: hasBackups,
  });
  stops.push(() => servers.stop());
  const bridge = async (target: { host: string; port: number }): Promise<number> => {
    const opened = await bridgeTo(target, { host: cluster.node.address });
    stops.push(() => opened.close());
    return opened.port;
  };
  const ports = {
    platform: await bridge(servers.platform),
    bouncer: await bridge(servers.bouncer),
    redis: await bridge(servers.redis),
    odoo: await bridge(servers.odoo),
    verification: servers.verification === undefined ? undefined : await bridge(servers.verification),
  };
  const store = { processes, folder, address: cluster.node.address, namespace: functionNamespace };
  const objectStore = hasBackups ? await startObjectStore(store) : undefined;
  if (objectStore !== undefined) stops.push(() => objectStore.close());
  await cluster.openPorts([...Object.values(ports), objectStore?.port].filter((port) => port !== undefined));
  return { servers, ports, objectStore };
}

/** Builds every function of this checkout, and the program `migrate`, and returns their images, by name. */
export async function importFunctions(
  cluster: RunningCluster,
  { folder, say }: { folder: string; say(line: string): void },
): Promise<Map<string, string>> {
  const images = new Map<string, string>();
  say('building the functions ...');
  const built = await buildFunctions(await functionNames(), { outFolder: join(folder, 'bundles') });
  for (const one of built) images.set(one.name, await cluster.importImage(one.name, one.folder));
  const migration = join(folder, 'bundles', 'migrate');
  await bundleMigration(migration);
  images.set('migrate', await cluster.importImage('migrate', migration));
  return images;
}

async function waitUntilReady(
  kubectl: Kubectl,
  { manifests, say }: { manifests: readonly Manifest[]; say(line: string): void },
): Promise<void> {
  for (const kind of ['Broker', 'Service.serving.knative.dev', 'Trigger', 'PingSource', 'ApiServerSource']) {
    const namespaces = new Set(
      manifests.filter((one) => kind.startsWith(one.kind)).map(({ metadata }) => metadata.namespace ?? ''),
    );
    for (const namespace of namespaces) {
      const limit = `--timeout=${readyTimeoutMs / 1000}s`;
      const present = await kubectl.run(['-n', namespace, 'get', kind, '-o', 'name']);
      if (present.trim() === '') continue;
      await kubectl.run(['-n', namespace, 'wait', '--for=condition=Ready', kind, '--all', limit], {
        timeoutMs: readyTimeoutMs + 10_000,
      });
    }
    say(`ready: ${kind}`);
  }
}

async function removeNamespaces(kubectl: Kubectl, options: readonly string[]): Promise<void> {
  const names = ['odoo-fleet', 'odoo-tenants'];
  await kubectl.run(['delete', 'namespace', ...names, '--ignore-not-found', ...options], { timeoutMs: 190_000 });
}
