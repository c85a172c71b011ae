import { join } from 'node:path';
import type { ClusterBinaries } from './binaries.ts';
import { apiClientFlags, apiServerFlags, controllerManagerFlags, etcdFlags } from './daemon-flags.ts';
import type { Daemon } from './daemons.ts';
import { kubeconfigOf } from './node-certificates.ts';
import { addresses, nodeName, type Places, ports } from './places.ts';

/** Name and program of each daemon, in the order in which they are stopped: first what would start containers again. */
export const daemonPrograms = [
  { name: 'kubelet', command: 'kubelet' },
  { name: 'scheduler', command: 'kube-scheduler' },
  { name: 'controller-manager', command: 'kube-controller-manager' },
  { name: 'proxy', command: 'kube-proxy' },
  { name: 'containerd', command: 'containerd' },
  { name: 'apiserver', command: 'kube-apiserver' },
  { name: 'etcd', command: 'etcd' },
] as const;

export type DaemonName = (typeof daemonPrograms)[number]['name'];

/** The command lines of the node's daemons. Every one that listens does so on loopback or on the bridge. */
export function nodeDaemons(
  places: Places,
  programs: ClusterBinaries & { containerd: string; etcd: string },
): Record<DaemonName, Daemon & { name: DaemonName }> {
  const configuration = (name: string) => join(places.configuration, name);
  const daemon = (name: DaemonName, command: string, args: string[]) => ({ name, command, args });
  return {
    containerd: daemon('containerd', programs.containerd, ['--config', configuration('containerd.toml')]),
    etcd: daemon(
      'etcd',
      programs.etcd,
      etcdFlags({ folder: places.state, port: ports.etcd, peerPort: ports.etcdPeer }),
    ),
    apiserver: daemon('apiserver', programs.apiServer, apiServer(places)),
    'controller-manager': daemon('controller-manager', programs.controllerManager, controllerManager(places)),
    scheduler: daemon('scheduler', programs.scheduler, [
      ...apiClientFlags(kubeconfigOf(places, 'scheduler')),
      `--secure-port=${ports.scheduler}`,
      '--leader-elect=false',
    ]),
    kubelet: daemon('kubelet', programs.kubelet, [
      `--config=${configuration('kubelet.json')}`,
      `--kubeconfig=${kubeconfigOf(places, 'kubelet')}`,
      `--root-dir=${places.kubelet}`,
      `--cert-dir=${places.certificates}`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${addresses.node}`,
    ]),
    proxy: daemon('proxy', programs.proxy, [`--config=${configuration('proxy.json')}`]),
  };
}

function apiServer({ certificates }: Places): string[] {
  const file = (name: string) => join(certificates, name);
  return [
    ...apiServerFlags({
      certificates,
      etcdPort: ports.etcd,
      address: addresses.node,
      port: ports.apiServer,
      serviceNetwork: addresses.serviceNetwork,
    }),
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    `--kubelet-certificate-authority=${file('ca.crt')}`,
    `--kubelet-client-certificate=${file('apiserver-to-kubelet.crt')}`,
    `--kubelet-client-key=${file('apiserver-to-kubelet.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
  ];
}

function controllerManager(places: Places): string[] {
  const { certificates } = places;
  const kubeconfig = kubeconfigOf(places, 'controller-manager');
  return [
    ...controllerManagerFlags({ certificates, kubeconfig, port: ports.controllerManager }),
    `--cluster-signing-cert-file=${join(certificates, 'ca.crt')}`,
    `--cluster-signing-key-file=${join(certificates, 'ca.key')}`,
  ];
}
