import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { addonObjects } from './addons.ts';
import { ageStore } from './age-store.ts';
import { ensureBaseImages, ensureKnativeImages, ensureOdooImage, importBundle, programImage } from './base-images.ts';
import { type ClusterBinaries, ensureClusterBinaries } from './binaries.ts';
import { startDaemon } from './daemons.ts';
import { takeDown } from './down.ts';
import { listImages } from './images.ts';
import { installKnative } from './knative.ts';
import { type Kubectl, openKubectl } from './kubectl.ts';
import { ensureNodeCertificates } from './node-certificates.ts';
import { writeConfiguration } from './node-configuration.ts';
import { type DaemonName, nodeDaemons } from './node-daemons.ts';
import { ensureNodePackages, refuseUnfitMachine, whyNoCluster } from './obstacles.ts';
import { addresses, domain, newPlaces, nodeName, type Places, ports, runFolder } from './places.ts';
import { poll } from './poll.ts';
import { changeMachine, noteRunning, runningDaemons, runningPlaces, withClusterLock } from './running.ts';
import { storageObjects } from './storage.ts';

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

type Programs = ClusterBinaries & { containerd: string; etcd: string };

async function bringUp(programs: Programs, { say, signal }: UpOptions): Promise<RunningCluster> {
  const before = await runningPlaces();
  const isNew = !(await runningDaemons()).has('apiserver');
  if (isNew) {
    // What a killed start left, and the objects of a cluster that died: with an old etcd a new node shows pods that are gone.
    if (before !== undefined) await takeDown(before, { say });
    await mkdir(newPlaces().data, { recursive: true });
    await refuseUnfitMachine();
  }
  const places = isNew ? newPlaces() : (before ?? newPlaces());
  await prepare(places);
  const kubectl = openKubectl({
    program: programs.kubectl,
    kubeconfig: places.kubeconfig,
    ...(signal === undefined ? {} : { signal }),
  });
  await startNode({ places, programs, kubectl, say, ...(signal === undefined ? {} : { signal }) });
  await ensureKnativeImages(places, programs);
  const ingressFolder = join(import.meta.dirname, 'ingress');
  const ingressImage = await importBundle(places, { name: 'ingress', folder: ingressFolder, entry: 'main.ts' });
  say('images are in the node; installing Knative ...');
  await installKnative({ kubectl, programs, ingressImage, say });
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

async function prepare(places: Places): Promise<void> {
  await noteRunning(places);
  const { bridge, node, serviceNetwork } = addresses;
  await changeMachine('prepare', [runFolder, bridge, node, serviceNetwork, String(ports.apiServer)]);
  for (const folder of [places.state, places.logs, places.kubelet, places.imageStore, places.temporary]) {
    await mkdir(folder, { recursive: true, mode: 0o755 });
  }
  await ensureNodeCertificates(places);
  await writeConfiguration(places);
}

type NodeStart = { places: Places; programs: Programs; kubectl: Kubectl } & UpOptions;

/** Starts what does not run, in the order of need. */
async function startNode({ places, programs, kubectl, say, signal }: NodeStart): Promise<void> {
  const daemons = nodeDaemons(places, programs);
  const start = (name: DaemonName) => startDaemon(daemons[name], { logs: places.logs, cwd: places.state });
  const until = (what: string, isDone: () => Promise<unknown>) => {
    const settled = () => isDone().then(Boolean, () => false);
    return poll(`${what} (logs in ${places.logs})`, settled, signal === undefined ? {} : { signal });
  };
  const isFresh = !(await runningDaemons()).has('etcd');
  await start('containerd');
  await start('etcd');
  if (isFresh) await ageStore(ports.etcd);
  await start('apiserver');
  await until('containerd', listImages);
  await ensureBaseImages(places, programs);
  await until('the API server', () => kubectl.run(['get', '--raw', '/readyz'], { timeoutMs: 5_000 }));
  say('the API server is ready');
  for (const name of ['controller-manager', 'scheduler', 'kubelet', 'proxy'] as const) await start(name);
  await kubectl.apply(addonObjects({ corednsImage: programImage('coredns', programs.coredns) }));
  await kubectl.apply(await storageObjects(places));
  await until('the node', () => isNodeReady(kubectl));
  await kubectl.rollout('kube-system', ['coredns']);
  say('the node is ready');
}

async function isNodeReady(kubectl: Kubectl): Promise<boolean> {
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await kubectl.run(['get', 'node', nodeName, '-o', path])) === 'True';
}
