import { join } from 'node:path';
import { waitForWarmDatabase } from '#scripts/local/conditions.ts';
import { localFleetOf } from '#scripts/local/in-sandbox.ts';
import { type OdooServers, openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import { findImage } from '#shared/adapters/postgres/images.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import { templateKeyOf } from '#shared/domain/instance/template.ts';
import { recallMemory } from '#shared/sandbox/fleet/memory.ts';
import { sandboxOdooServer } from '#shared/sandbox/fleet/seed.ts';
import { type Fleet, startFleet, tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { type KubernetesClient, openKubernetesClient } from '#shared/sandbox/kubernetes-client.ts';
import { deployments, pods } from '#shared/sandbox/kubernetes-node/objects.ts';
import { ensureOdooImage, type OdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import { untilTrue } from '../conditions.ts';
import type { Surroundings } from '../surroundings.ts';
import { openRequests, type Requests } from './request.ts';

/** As `knative/base/reconcile/ping-source.yaml` has it. */
const tickMs = 10_000;
const templateTimeoutMs = 5 * 60_000;

/** A fleet with a built template, and the ways into it that the measurements need. */
export type World = {
  fleet: Fleet;
  odoo: OdooImage;
  requests: Requests;
  cluster: KubernetesClient;
  /** The adapter the functions use, with the same admin. */
  servers: OdooServers;
  server: DatabaseServer;
  template: TemplateKey;
  /** Clones until this many are ready, outside of any measurement. */
  refill(target: number): Promise<void>;
  /** Ends the processes of all functions, so that the next event finds none. */
  stopFunctions(): Promise<void>;
  /** Takes an instance's Odoo away and waits until its process has ended: the next measurement is not beside it. */
  retire(instanceId: string): Promise<void>;
  stop(): Promise<void>;
};

export async function openWorld(
  surroundings: Surroundings,
  options: { odoo: 'real' | 'stand-in'; maxInstances: number; warmTarget: number; maxScale: number },
): Promise<World> {
  const { say } = surroundings;
  const odoo = await ensureOdooImage({ which: options.odoo, onProgress: say });
  say(odoo.about);
  const fleet = await startFleet({
    folder: surroundings.folder,
    odoo: odoo.image,
    imageDigest: odoo.digest,
    maxInstances: options.maxInstances,
    warmTarget: options.warmTarget,
    maxScale: options.maxScale,
    tickMs,
  });
  try {
    say('building the template');
    await waitForWarmDatabase(localFleetOf(fleet), { timeoutMs: templateTimeoutMs });
    return await openWays(fleet, odoo);
  } catch (error) {
    await fleet.stop();
    throw error;
  }
}

async function openWays(fleet: Fleet, odoo: OdooImage): Promise<World> {
  const { odooAdminPassword } = await recallMemory(join(fleet.folder, 'secrets', 'memory.json'));
  const servers = openOdooServers({ adminPassword: () => odooAdminPassword, applicationName: 'bench' });
  const server = sandboxOdooServer(fleet.servers.odoo);
  const record = await findImage(fleet.records, 'odoo-19');
  if (record === undefined) throw new Error('the fleet has no image odoo-19');
  const template = templateKeyOf(record.image, [], record.image.languages[0] ?? 'en_US');
  const cluster = await openKubernetesClient(fleet.kubeconfigFile);
  const requests = openRequests(fleet.broker.url);
  return {
    fleet,
    odoo,
    requests,
    cluster,
    servers,
    server,
    template,
    refill: async (target) => void (await servers.warm.refill(server, template, { target, atMost: target })),
    async stopFunctions() {
      const names = new Set(fleet.functions.running().map(({ name }) => name));
      await Promise.all([...names].map((name) => fleet.functions.stop(name)));
    },
    retire: (instanceId) => retire(cluster, instanceId),
    async stop() {
      await Promise.all([requests.end(), servers.end(), cluster.close()]);
      await fleet.stop();
    },
  };
}

async function retire(cluster: KubernetesClient, instanceId: string): Promise<void> {
  const name = `odoo-${instanceId}`;
  await cluster.delete(deployments, { namespace: tenantNamespace, name }, { propagationPolicy: 'Background' });
  const isGone = async () => {
    const { items } = await cluster.list(pods, tenantNamespace);
    return !items.some(({ metadata }) => metadata.name.startsWith(name));
  };
  await untilTrue(`the pods of ${name} to end`, isGone, { timeoutMs: 60_000, everyMs: 50 });
}
