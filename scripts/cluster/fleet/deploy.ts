import { join } from 'node:path';
import { buildFunctions, functionNames } from '#scripts/build/build.ts';
import { recallMemory } from '#shared/sandbox/fleet/memory.ts';
import { openRecords, type PlatformRecords } from '#shared/sandbox/fleet/records.ts';
import { odooServerId, seedRecords } from '#shared/sandbox/fleet/seed.ts';
import { type FleetServers, startServers } from '#shared/sandbox/fleet/servers.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { type Kubectl, openKubectl } from '../kubectl.ts';
import type { RunningCluster } from '../up.ts';
import { type Bridge, bridgeTo } from './bridge.ts';
import { devManifests, type Manifest, machineService, secret } from './manifests.ts';

const functionNamespace = 'odoo-fleet';
/** The first start of fourteen functions on two cores takes a minute. */
const readyTimeoutMs = 300_000;

export type DeployedFleet = {
  kubectl: Kubectl;
  /** The platform's records, for whoever watches from outside. */
  records: PlatformRecords;
  servers: FleetServers;
  /** Where publishers inside the cluster post. */
  brokerUrl: string;
  /** Removes both namespaces and ends the servers. */
  stop(): Promise<void>;
};

/**
 * Deploys all functions, of the given images, by the manifests of the overlay `dev`. PostgreSQL, PgBouncer and Redis
 * are private servers of this process on loopback, which pods reach by the machine's address on the bridge.
 */
export async function deployFleet(
  cluster: RunningCluster,
  options: { folder: string; images: ReadonlyMap<string, string>; say(line: string): void },
): Promise<DeployedFleet> {
  const { folder, images, say } = options;
  const kubectl = openKubectl({ program: cluster.kubectl, kubeconfig: cluster.kubeconfig });
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const one of stops.toReversed()) await one();
  };
  try {
    // What is put into a namespace that is going away vanishes with it.
    await removeNamespaces(kubectl, ['--timeout=180s']);
    const odoo = await cluster.importOdoo();
    const processes = await openProcessGroup();
    stops.push(() => processes.stopAll());
    const memory = await recallMemory(join(folder, 'memory.json'));
    const servers = await startServers({ folder: join(folder, 'servers'), processes, memory, durable: false });
    stops.push(() => servers.stop());
    const host = cluster.node.address;
    const bridge = async (target: { host: string; port: number }): Promise<Bridge> => {
      const opened = await bridgeTo(target, { host });
      stops.push(() => opened.close());
      return opened;
    };
    const [bouncer, redis, odooServer] = [
      await bridge(servers.bouncer),
      await bridge(servers.redis),
      await bridge(servers.odoo),
    ];
    await cluster.openPorts([bouncer.port, redis.port, odooServer.port]);
    const records = await openRecords(servers, memory.platformPassword);
    stops.push(() => records.end());
    await seedRecords(records, {
      ingressPort: 80,
      odooServers: [{ host, port: odooServer.port }],
      maxInstances: 50,
      warmTarget: 1,
      imageDigest: odoo,
      imageReference: odoo,
    });
    say('PostgreSQL, PgBouncer and Redis are reachable from pods; applying the manifests ...');
    const manifests = await devManifests(kubectl, { imageOf: (name) => images.get(name) ?? name });
    stops.push(() => removeNamespaces(kubectl, ['--wait=false']));
    const isNamespace = ({ kind }: Manifest) => kind === 'Namespace';
    await kubectl.apply(manifests.filter(isNamespace));
    const place = { namespace: functionNamespace, address: host };
    await kubectl.apply([
      ...machineService('postgres', { ...place, port: 5432, targetPort: bouncer.port }),
      ...machineService('redis', { ...place, port: 6379, targetPort: redis.port }),
      secret('platform-postgres', functionNamespace, { password: memory.platformPassword }),
      secret('redis', functionNamespace, { password: memory.redisPassword }),
      secret('odoo-postgres', functionNamespace, { [odooServerId(0)]: memory.odooAdminPassword }),
    ]);
    await kubectl.apply(manifests.filter((one) => !isNamespace(one)));
    await waitUntilReady(kubectl, { manifests, say });
    const brokerUrl = 'http://broker-ingress.knative-eventing.svc.cluster.local/odoo-fleet/fleet';
    return { kubectl, records, servers, brokerUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Builds every function of this checkout and returns its image, by its name. */
export async function importFunctions(
  cluster: RunningCluster,
  { folder, say }: { folder: string; say(line: string): void },
): Promise<Map<string, string>> {
  const images = new Map<string, string>();
  say('building the functions ...');
  const built = await buildFunctions(await functionNames(), { outFolder: join(folder, 'bundles') });
  for (const one of built) images.set(one.name, await cluster.importImage(one.name, one.folder));
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
