import { join } from 'node:path';
import { cacheFolder } from '#shared/sandbox/cache-folder.ts';

/** One bridge carries the node's address, the pods' gateway and the API server. Fixed: there is one cluster for each machine. */
export const addresses = {
  bridge: 'fleet0',
  node: '10.250.0.1',
  podNetwork: '10.250.0.0/24',
  /** The first addresses are left to servers of this machine. */
  firstPod: '10.250.0.10',
  serviceNetwork: '10.97.0.0/16',
  kubernetesService: '10.97.0.1',
  dns: '10.97.0.10',
  /** Knative's ingress; the same on every run. */
  ingress: '10.97.0.80',
} as const;

/**
 * Ports on loopback, except the first two, which are on the node's address. All are below those that the system gives to
 * whoever asks for any port: one of these may be taken when a daemon starts.
 */
export const ports = {
  apiServer: 6443,
  kubelet: 10250,
  etcd: 32379,
  etcdPeer: 32380,
  kubeletHealth: 28248,
  proxyMetrics: 28249,
  proxyHealth: 28256,
  controllerManager: 28257,
  scheduler: 28259,
} as const;

export const nodeName = 'fleet';

/** Only a name: no registry is ever asked. */
export const registry = 'fleet.local';

/** Knative Services are at `<name>.<namespace>.<domain>`. */
export const domain = 'fleet.test';

/**
 * What a running cluster of this machine is known by: its lock, its socket, and notes of how the machine was before.
 * It is not in the cache folder, which two users may have in two places; a restart of the machine empties it, as it should.
 */
export const runFolder = '/run/odoo-fleet-cluster';

export const containerdSocket = join(runFolder, 'containerd.sock');

export type Places = ReturnType<typeof placesIn>;

/** The places of a cluster in a data folder. */
export function placesIn(data: string) {
  return {
    data,
    /** containerd's images; they outlive the cluster. */
    imageStore: join(data, 'images'),
    /** Everything of the running cluster: gone after `down`. */
    state: join(data, 'state'),
    certificates: join(data, 'state', 'certificates'),
    configuration: join(data, 'state', 'configuration'),
    logs: join(data, 'state', 'logs'),
    kubeconfig: join(data, 'state', 'admin.kubeconfig'),
    kubelet: join(data, 'state', 'kubelet'),
    temporary: join(data, 'temporary'),
  };
}

/** Where a new cluster lies. */
export function newPlaces(): Places {
  return placesIn(join(cacheFolder(), 'cluster', 'node'));
}
