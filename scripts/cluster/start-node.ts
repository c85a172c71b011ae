import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { addonObjects } from './addons.ts';
import { ageStore } from './age-store.ts';
import { ensureBaseImages, programImage } from './base-images.ts';
import type { ClusterBinaries } from './binaries.ts';
import { listImages } from './images.ts';
import { type Keeper, keepDaemons } from './keep-daemons.ts';
import { type Kubectl, openKubectl } from './kubectl.ts';
import { ensureNodeCertificates } from './node-certificates.ts';
import { writeConfiguration } from './node-configuration.ts';
import { type DaemonName, daemonPrograms, nodeDaemons } from './node-daemons.ts';
import { readNode, readNodeReport, whyNotReady } from './node-report.ts';
import { addresses, containerdSocket, type Places, ports, runFolder } from './places.ts';
import { type Look, waitFor } from './poll.ts';
import { changeMachine, noteRunning, runningDaemons } from './running.ts';
import { storageObjects } from './storage.ts';

const run = promisify(execFile);

/** For each thing that is waited for. It takes seconds on an idle machine, and minutes on one that builds or tests meanwhile. */
const limitMs = 300_000;

export type Programs = ClusterBinaries & { containerd: string; etcd: string };

export type NodeStart = {
  places: Places;
  programs: Programs;
  say(line: string): void;
  signal?: AbortSignal;
};

/**
 * Starts what does not run of the node, in the order of need, and waits until the node is ready and names are resolved.
 * @throws Error with what was missing, the node's conditions and the last lines of the logs.
 */
export async function startNode(options: NodeStart): Promise<void> {
  await prepare(options.places);
  await withNode(options, (keeper, kubectl) => startAll(options, keeper, kubectl));
}

/** Does `work` on a node that was started, and meanwhile starts again what dies of it. @throws as `startNode` does. */
export async function withStartedNode(options: NodeStart, work: (kubectl: Kubectl) => Promise<void>): Promise<void> {
  await withNode(options, async ({ start }, kubectl) => {
    for (const { name } of daemonPrograms) await start(name);
    await work(kubectl);
  });
}

async function withNode(
  { places, programs, say, signal }: NodeStart,
  work: (keeper: Keeper<DaemonName>, kubectl: Kubectl) => Promise<void>,
): Promise<void> {
  const daemons = nodeDaemons(places, programs);
  const access = { program: programs.kubectl, kubeconfig: places.kubeconfig };
  const options = { daemons, logs: places.logs, cwd: places.state, say, ...(signal === undefined ? {} : { signal }) };
  try {
    await keepDaemons(options, (keeper) => work(keeper, openKubectl({ ...access, signal: keeper.signal })));
  } catch (error) {
    if (signal?.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    // What keeps logs may not keep this machine: the message must do.
    throw new Error(`${message}\n${await readNodeReport(openKubectl(access), places.logs)}`, { cause: error });
  }
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

async function startAll(
  { places, programs, say }: NodeStart,
  { start, signal }: Keeper<DaemonName>,
  kubectl: Kubectl,
): Promise<void> {
  const until = (what: string, look: Look) => waitFor(what, look, { limitMs, say, signal });
  const isFresh = !(await runningDaemons()).has('etcd');
  await start('containerd');
  await start('etcd');
  if (isFresh) await ageStore(ports.etcd);
  await start('apiserver');
  await until('containerd', whyNoContainers);
  await ensureBaseImages(places, programs);
  await until('the API server', async () => {
    await kubectl.run(['get', '--raw', '/readyz'], { timeoutMs: 10_000 });
    return undefined;
  });
  say('the API server is ready');
  for (const name of ['controller-manager', 'scheduler', 'kubelet', 'proxy'] as const) await start(name);
  const addons = addonObjects({ corednsImage: programImage('coredns', programs.coredns) });
  const storage = await storageObjects(places);
  // The namespace of the addons is made by the API server itself, some time after it is ready.
  await until('the first objects', async () => {
    await kubectl.apply([...addons, ...storage]);
    return undefined;
  });
  await until('the node', async () => whyNotReady(await readNode(kubectl)));
  await kubectl.rollout('kube-system', ['coredns']);
  say('the node is ready');
}

/** kubelet ends at once when containerd answers and its part for Kubernetes does not, for which containerd lives on. */
async function whyNoContainers(): Promise<string | undefined> {
  await listImages();
  const { stdout } = await run('ctr', ['-a', containerdSocket, 'plugins', 'ls'], { timeout: 10_000 });
  const status = /^io\.containerd\.grpc\.v1\s+cri\s.*?(\S+)\s*$/m.exec(stdout)?.[1];
  return status === 'ok' ? undefined : `its plugin "cri" is in the state ${status ?? 'absent'}`;
}
