import { join } from 'node:path';
import type { ClusterBinaries } from './binaries.ts';
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
): Record<DaemonName, Daemon> {
  const configuration = (name: string) => join(places.configuration, name);
  const daemon = (name: DaemonName, command: string, args: string[]): Daemon => ({ name, command, args });
  return {
    containerd: daemon('containerd', programs.containerd, ['--config', configuration('containerd.toml')]),
    etcd: daemon('etcd', programs.etcd, etcd(places)),
    apiserver: daemon('apiserver', programs.apiServer, apiServer(places)),
    'controller-manager': daemon('controller-manager', programs.controllerManager, controllerManager(places)),
    scheduler: daemon('scheduler', programs.scheduler, [
      ...asClient(places, 'scheduler'),
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

function etcd({ state }: Places): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    '--name=fleet',
    `--data-dir=${join(state, 'etcd')}`,
    // The objects do not outlive the cluster, so they need not survive a power loss.
    '--unsafe-no-fsync',
    '--log-level=warn',
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=fleet=${peer}`,
  ];
}

function apiServer({ certificates }: Places): string[] {
  const file = (name: string) => join(certificates, name);
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    `--bind-address=${addresses.node}`,
    `--advertise-address=${addresses.node}`,
    `--secure-port=${ports.apiServer}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    '--anonymous-auth=false',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${file('sa.pub')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    `--service-cluster-ip-range=${addresses.serviceNetwork}`,
    `--kubelet-certificate-authority=${file('ca.crt')}`,
    `--kubelet-client-certificate=${file('apiserver-to-kubelet.crt')}`,
    `--kubelet-client-key=${file('apiserver-to-kubelet.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--profiling=false',
  ];
}

function controllerManager(places: Places): string[] {
  const file = (name: string) => join(places.certificates, name);
  return [
    ...asClient(places, 'controller-manager'),
    `--secure-port=${ports.controllerManager}`,
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${file('sa.key')}`,
    `--root-ca-file=${file('ca.crt')}`,
    `--cluster-signing-cert-file=${file('ca.crt')}`,
    `--cluster-signing-key-file=${file('ca.key')}`,
  ];
}

function asClient(places: Places, name: string): string[] {
  const kubeconfig = kubeconfigOf(places, name);
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    '--profiling=false',
  ];
}
