import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { cacheFolder } from '#shared/sandbox/cache-folder.ts';
import { findGo } from '#shared/sandbox/go/go-programs.ts';
import { ensurePackages, findProgram } from '#shared/sandbox/packages.ts';
import { addresses } from './places.ts';

const run = promisify(execFile);

/** Debian's packages that the node is made of. */
const packages = [
  'ca-certificates',
  'conntrack',
  'containerd',
  'containernetworking-plugins',
  'etcd-server',
  'iproute2',
  'ipset',
  'iptables',
  'kmod',
  'mount',
  'openssl',
  'procps',
  'runc',
];

/** From `statfs`: a file system that overlayfs cannot lie on. */
const overlayFileSystem = 0x79_4c_76_30;

/** Why this machine cannot run the cluster, in one line that says what to change; undefined when it can. */
export async function whyNoCluster(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'the cluster runs on Linux only';
  if (process.getuid?.() !== 0) return 'only root can run a node: run this as root';
  if (!(await isDebian12())) return 'the node is made of the packages of Debian 12';
  if ((await findGo()) === undefined) return 'the Go toolchain is not on PATH: install Go 1.25 or newer';
  return undefined;
}

/** Why the cluster tier cannot run here, in one line, or undefined. */
export async function whyNoClusterToTest(): Promise<string | undefined> {
  if (!process.env['KUBECONFIG']) {
    const obstacle = await whyNoCluster();
    return obstacle === undefined ? undefined : `${obstacle}, or name another cluster with KUBECONFIG`;
  }
  if ((await findProgram('kubectl')) === undefined) return 'KUBECONFIG names a cluster, but kubectl is not on PATH';
  if (process.env['FLEET_TEST_IMAGE']) return undefined;
  return 'KUBECONFIG names a cluster: name the image of knative/acceptance/program there with FLEET_TEST_IMAGE';
}

/**
 * Refuses what would end badly half-way: another cluster whose iptables chains `down` would take for ours, or an image store
 * on overlayfs (a container's own file system).
 */
export async function refuseUnfitMachine(): Promise<void> {
  const { type } = await statfs(cacheFolder());
  if (type === overlayFileSystem) {
    throw new Error(`${cacheFolder()} is on overlayfs, where containers cannot be: set FLEET_CACHE to a real disk`);
  }
  if ((await findProgram('iptables-save')) === undefined) return;
  const { stdout } = await run((await findProgram('iptables-save')) ?? 'iptables-save');
  if (/^:KUBE-/m.test(stdout)) {
    throw new Error('another Kubernetes node runs on this machine: stop it, or name its cluster with KUBECONFIG');
  }
  const routes = await run((await findProgram('ip')) ?? 'ip', ['route', 'show', 'to', 'match', addresses.node]);
  const foreign = routes.stdout.split('\n').find((line) => line !== '' && !/^default|dev fleet0/.test(line));
  if (foreign !== undefined) throw new Error(`the addresses of the cluster are taken by the route "${foreign.trim()}"`);
}

/** Installs the packages that are missing. */
export async function ensureNodePackages(): Promise<{ containerd: string; etcd: string }> {
  await ensurePackages(packages);
  const [containerd, etcd] = [await findProgram('containerd'), await findProgram('etcd')];
  if (containerd === undefined || etcd === undefined) throw new Error('containerd or etcd has no program');
  return { containerd, etcd };
}

async function isDebian12(): Promise<boolean> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID=debian$/m.test(release) && /^VERSION_ID="?1[2-9]"?$/m.test(release);
}
