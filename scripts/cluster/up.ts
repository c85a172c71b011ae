import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { ensureKnativeImages, ensureOdooImage, importBundle } from './base-images.ts';
import { ensureClusterBinaries } from './binaries.ts';
import { clearLeftovers, takeDown } from './down.ts';
import { installKnative } from './knative.ts';
import { ensureNodePackages, refuseUnfitMachine, whyNoCluster } from './obstacles.ts';
import { addresses, domain, newPlaces } from './places.ts';
import { changeMachine, runningDaemons, runningPlaces, withClusterLock } from './running.ts';
import { type NodeStart, type Programs, startNode, withStartedNode } from './start-node.ts';

export type UpOptions = {
  say(line: string): void;
  /** Ends the work; what was started stays for the next `up` or for `down`. */
  signal?: AbortSignal;
};

/** A cluster that answers, with Knative ready. */
export type RunningCluster = {
  kubeconfig: string;
  /** Path of a kubectl of the cluster's version. */
  kubectl: string;
  /** Of this machine as pods see it; a server that listens there is reached by them once its port is open. */
  node: { address: string };
  /** Knative Services answer at this address with `Host: <name>.<namespace>.<domain>`. */
  ingress: { address: string; domain: string };
  /** False when it ran already. */
  isNew: boolean;
  /** Makes an image of a bundle's folder on Node 24 and returns its reference; the tag stands for the content. `programs`: files of this machine. */
  importImage(name: string, folder: string, options?: { programs?: readonly string[] }): Promise<string>;
  /** Imports the real Odoo 19 and returns its reference. */
  importOdoo(): Promise<string>;
  /** Lets pods reach TCP ports of `node.address`. */
  openPorts(list: readonly number[]): Promise<void>;
};

/**
 * Brings up the machine's one-node cluster, or what has died of it, and waits until Kubernetes and Knative are ready.
 * Builds and installs what is missing. The cluster outlives this process; `takeDownCluster` ends it.
 * @throws Error that says what to change when this machine cannot run it.
 */
export async function bringUpCluster(options: UpOptions): Promise<RunningCluster> {
  const obstacle = await whyNoCluster();
  if (obstacle !== undefined) throw new Error(obstacle);
  options.say('Debian packages and Go programs ...');
  const programs = { ...(await ensureNodePackages()), ...(await ensureClusterBinaries(options)) };
  return withClusterLock(() => bringUp(programs, options));
}

async function bringUp(programs: Programs, options: UpOptions): Promise<RunningCluster> {
  const { say } = options;
  const isNew = !(await runningDaemons()).has('apiserver');
  if (isNew) {
    // With an old etcd a new node shows pods that are gone.
    await clearLeftovers({ say });
    await mkdir(newPlaces().data, { recursive: true });
    await refuseUnfitMachine();
  }
  const places = isNew ? newPlaces() : ((await runningPlaces()) ?? newPlaces());
  const start: NodeStart = { places, programs, ...options };
  await (isNew ? startNewNode(start) : startNode(start));
  await withStartedNode(start, async (kubectl) => {
    await ensureKnativeImages(places, programs);
    const folder = join(import.meta.dirname, 'ingress');
    const ingressImage = await importBundle(places, { name: 'ingress', folder, entry: 'main.ts' });
    say('images are in the node; installing Knative ...');
    await installKnative({ kubectl, programs, ingressImage, say });
  });
  return {
    kubeconfig: places.kubeconfig,
    kubectl: programs.kubectl,
    node: { address: addresses.node },
    ingress: { address: addresses.ingress, domain },
    isNew,
    importImage: (name, folder, { programs = [] } = {}) => importBundle(places, { name, folder, programs }),
    importOdoo: () => ensureOdooImage(places, { say }),
    openPorts: (list) => changeMachine('open', [addresses.node, ...list.map(String)]),
  };
}

/** Once more from nothing when it does not become ready: whatever an earlier cluster left, images included, is then gone. */
async function startNewNode(start: NodeStart): Promise<void> {
  const { places, say, signal } = start;
  try {
    await startNode(start);
  } catch (error) {
    if (signal?.aborted) throw error;
    say(error instanceof Error ? error.message : String(error));
    say('the node did not come up: taking it down, clearing all its state and trying once more from the start');
    await takeDown(places, { say });
    await removeTree(places.data);
    await startNode(start);
  }
}
