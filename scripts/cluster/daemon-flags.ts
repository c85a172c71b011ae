import { join } from 'node:path';

// What the node's daemons and those of a control plane alone are told in the same words.

/** An etcd of one member, reached over loopback. The objects do not outlive it, so they need not survive a power loss. */
export function etcdFlags({ folder, port, peerPort }: { folder: string; port: number; peerPort: number }): string[] {
  const peer = `http://127.0.0.1:${peerPort}`;
  const client = `http://127.0.0.1:${port}`;
  return [
    '--name=fleet',
    `--data-dir=${join(folder, 'etcd')}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=fleet=${peer}`,
  ];
}

/** What is left to say is how it authorises, who reaches it, and where its kubelets are. */
export function apiServerFlags(options: {
  certificates: string;
  etcdPort: number;
  address: string;
  port: number;
  serviceNetwork: string;
}): string[] {
  const file = (name: string) => join(options.certificates, name);
  return [
    `--etcd-servers=http://127.0.0.1:${options.etcdPort}`,
    `--bind-address=${options.address}`,
    `--advertise-address=${options.address}`,
    `--secure-port=${options.port}`,
    `--tls-cert-file=${file('apiserver.crt')}`,
    `--tls-private-key-file=${file('apiserver.key')}`,
    `--client-ca-file=${file('ca.crt')}`,
    '--anonymous-auth=false',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${file('sa.pub')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    `--service-cluster-ip-range=${options.serviceNetwork}`,
    '--profiling=false',
  ];
}

/** With a ServiceAccount of its own for each controller, as their rights ask for. */
export function controllerManagerFlags(options: { certificates: string; kubeconfig: string; port: number }): string[] {
  return [
    ...apiClientFlags(options.kubeconfig),
    `--secure-port=${options.port}`,
    '--leader-elect=false',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${join(options.certificates, 'sa.key')}`,
    `--root-ca-file=${join(options.certificates, 'ca.crt')}`,
  ];
}

/** A daemon that listens on loopback and asks the API server about everything, callers included. */
export function apiClientFlags(kubeconfig: string): string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    '--bind-address=127.0.0.1',
    '--profiling=false',
  ];
}
