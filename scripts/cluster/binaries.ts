import { join } from 'node:path';
import { type BuiltPrograms, ensureGoPrograms, findGo, type GoPrograms } from '#shared/sandbox/go/go-programs.ts';

/** Where the pins of the cluster's programs lie. */
export function moduleFolder(module: 'kubernetes' | 'coredns' | 'serving' | 'eventing' | 'pause'): string {
  return join(import.meta.dirname, 'go', module);
}

const kubernetes = (cachedIn: string, names: readonly string[]): GoPrograms => ({
  module: moduleFolder('kubernetes'),
  versionOf: 'k8s.io/kubernetes',
  packages: names.map((name) => `k8s.io/kubernetes/cmd/${name}`),
  cachedIn,
  // Knative refuses a Kubernetes that cannot tell its version.
  linkerFlags(version) {
    const minor = version.split('.')[1];
    const stamp = 'k8s.io/component-base/version';
    return `-X ${stamp}.gitVersion=${version} -X ${stamp}.gitMajor=1 -X ${stamp}.gitMinor=${minor}`;
  },
});

const controlPlane = kubernetes('kubernetes', ['kube-apiserver', 'kube-controller-manager']);
const node = kubernetes('cluster/kubernetes', ['kubelet', 'kube-proxy', 'kube-scheduler', 'kubectl']);

const coredns: GoPrograms = {
  module: moduleFolder('coredns'),
  versionOf: 'github.com/coredns/coredns',
  packages: ['.'],
  cachedIn: 'cluster/coredns',
};

const pause: GoPrograms = { module: moduleFolder('pause'), packages: ['.'], cachedIn: 'cluster/pause' };

/** Knative Serving's programs, by the last part of their import path. */
export const servingPrograms = ['activator', 'autoscaler', 'controller', 'queue', 'webhook'] as const;

const serving: GoPrograms = {
  module: moduleFolder('serving'),
  versionOf: 'knative.dev/serving',
  packages: servingPrograms.map((name) => `knative.dev/serving/cmd/${name}`),
  cachedIn: 'cluster/serving',
};

const eventingPackages = [
  'apiserver_receive_adapter',
  'broker/filter',
  'broker/ingress',
  'controller',
  'in_memory/channel_controller',
  'in_memory/channel_dispatcher',
  'mtchannel_broker',
  'mtping',
  'webhook',
] as const;

/** Knative Eventing's programs: control plane, in-memory channel, PingSource, ApiServerSource. */
export const eventingPrograms = eventingPackages.map((name) => name.split('/').at(-1) ?? name);

const eventing: GoPrograms = {
  module: moduleFolder('eventing'),
  versionOf: 'knative.dev/eventing',
  packages: eventingPackages.map((name) => `knative.dev/eventing/cmd/${name}`),
  cachedIn: 'cluster/eventing',
};

/** Why the programs cannot be built here, or undefined. */
export async function controlPlaneObstacle(): Promise<string | undefined> {
  if ((await findGo()) !== undefined) return undefined;
  return 'the Go toolchain is not on PATH, so the real kube-apiserver cannot be built';
}

export type ControlPlaneBinaries = { apiServer: string; controllerManager: string };

/** The real kube-apiserver and kube-controller-manager, built from the Go module proxy into the cache folder once per version. */
export async function ensureControlPlaneBinaries(
  options: { say?: (line: string) => void } = {},
): Promise<ControlPlaneBinaries> {
  const { folder } = await ensureGoPrograms(controlPlane, options);
  return { apiServer: join(folder, 'kube-apiserver'), controllerManager: join(folder, 'kube-controller-manager') };
}

/** Everything that a node with Knative runs. */
export type ClusterBinaries = ControlPlaneBinaries & {
  kubelet: string;
  proxy: string;
  scheduler: string;
  kubectl: string;
  coredns: BuiltPrograms;
  pause: BuiltPrograms;
  serving: BuiltPrograms;
  eventing: BuiltPrograms;
};

/** All programs of the cluster. From nothing they take about a quarter of an hour on two cores. */
export async function ensureClusterBinaries(options: { say?: (line: string) => void } = {}): Promise<ClusterBinaries> {
  // One after the other: each build takes all cores and a gigabyte or more of memory.
  const plane = await ensureControlPlaneBinaries(options);
  const { folder } = await ensureGoPrograms(node, options);
  return {
    ...plane,
    kubelet: join(folder, 'kubelet'),
    proxy: join(folder, 'kube-proxy'),
    scheduler: join(folder, 'kube-scheduler'),
    kubectl: join(folder, 'kubectl'),
    pause: await ensureGoPrograms(pause, options),
    coredns: await ensureGoPrograms(coredns, options),
    serving: await ensureGoPrograms(serving, options),
    eventing: await ensureGoPrograms(eventing, options),
  };
}
