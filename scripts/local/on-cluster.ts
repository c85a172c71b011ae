import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeDownCluster } from '#scripts/cluster/down.ts';
import { deployFleet, importFunctions } from '#scripts/cluster/fleet/deploy.ts';
import { openKubectl } from '#scripts/cluster/kubectl.ts';
import { whyNoCluster } from '#scripts/cluster/obstacles.ts';
import { bringUpCluster, type RunningCluster } from '#scripts/cluster/up.ts';
import { upsertCluster } from '#shared/adapters/postgres/clusters.ts';
import { cacheFolder, removeTree } from '#shared/sandbox/cache-folder.ts';
import { takeFolder } from '#shared/sandbox/fleet/folder-lock.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { startIngressProxy } from '#shared/sandbox/ingress/ingress.ts';
import type { StartedFleet } from './local-fleet.ts';
import type { LocalOptions } from './options.ts';
import { publicPort } from './public-port.ts';
import type { Screen } from './screen.ts';

/** The Broker of the overlay, behind Knative's ingress for brokers. */
const brokerService = { namespace: 'knative-eventing', name: 'broker-ingress' };
const brokerPath = '/odoo-fleet/fleet';

/**
 * Brings up the machine's own cluster, deploys the fleet there from this checkout by the shipped manifests, and serves the
 * instances' Ingresses on a port of loopback. Nothing of the fleet is kept; the cluster stays, unless this has started it.
 * @throws Error that says what to change when this machine cannot run it.
 */
export async function startOnCluster(
  options: LocalOptions,
  screen: Screen,
  signal: AbortSignal,
): Promise<StartedFleet> {
  const obstacle = await whyNoCluster();
  if (obstacle !== undefined) {
    throw new Error(
      `--cluster is not possible on this machine: ${obstacle}. Without it the fleet runs in the sandbox.`,
    );
  }
  const onInterrupt = () => screen.say('interrupted: what is being done comes to its end first');
  signal.addEventListener('abort', onInterrupt);
  // One cluster, one fleet: whoever deploys a second one replaces the first.
  const stops: (() => Promise<unknown>)[] = [
    await takeFolder(join(cacheFolder(), 'cluster', 'local-fleet'), { advice: 'The cluster holds one: end it first.' }),
  ];
  const stop = async () => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const cluster = await bringUpCluster({ say: screen.say, signal });
    screen.say(cluster.isNew ? 'the cluster is up' : 'the cluster was up');
    stops.push(() => leave(cluster, screen));
    const began = performance.now();
    const folder = await mkdtemp(join(tmpdir(), 'fleet-on-cluster-'));
    stops.push(() => removeTree(folder));
    // the servers run as users of their own
    await chmod(folder, 0o755);
    const images = await importFunctions(cluster, { folder, say: screen.say });
    signal.throwIfAborted();
    const deployed = await deployFleet(cluster, { folder, images, say: screen.say });
    stops.push(async () => {
      screen.say('taking the fleet down');
      await deployed.stop();
    });
    signal.throwIfAborted();
    const { kubeconfig: kubeconfigFile } = cluster;
    const ingress = await startIngressProxy({
      kubeconfigFile,
      namespace: tenantNamespace,
      port: await publicPort(options.port),
    });
    stops.push(() => ingress.stop());
    signal.removeEventListener('abort', onInterrupt);
    const { records } = deployed;
    await upsertCluster(records, { id: 'default', baseDomain: 'localhost', scheme: 'http', publicPort: ingress.port });
    return {
      fleet: {
        brokerUrl: `http://${await brokerAddress(cluster)}${brokerPath}`,
        records,
        odooServer: deployed.servers.odoo,
        kubeconfigFile,
        whereToLook: `Look with: kubectl --kubeconfig ${kubeconfigFile} -n odoo-fleet logs -l serving.knative.dev/service --tail=-1`,
      },
      startSeconds: (performance.now() - began) / 1000,
      afterwards: cluster.isNew ? 'so does the cluster, which this has started' : 'the cluster stays up',
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** This machine is the node, so kube-proxy leads it to Services as it does pods; their names it does not know. */
async function brokerAddress({ kubectl: program, kubeconfig }: RunningCluster): Promise<string> {
  const { namespace, name } = brokerService;
  const kubectl = openKubectl({ program, kubeconfig });
  return await kubectl.run(['-n', namespace, 'get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}']);
}

async function leave({ isNew }: RunningCluster, screen: Screen): Promise<void> {
  if (!isNew) {
    screen.say('the cluster stays up: npm run cluster -- down ends it');
    return;
  }
  screen.say('taking down the cluster, which this has started');
  await takeDownCluster({ say: screen.say });
}
