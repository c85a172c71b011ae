import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { ensureProgram, findProgram } from '#shared/sandbox/packages.ts';
import type { ProcessGroup, RunningProcess } from '#shared/sandbox/processes.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { ageStore } from './age-store.ts';
import { controlPlaneObstacle, ensureControlPlaneBinaries } from './binaries.ts';
import { type CertificateRequest, makeCertificates, writeClientKubeconfig } from './certificates.ts';
import { apiServerFlags, controllerManagerFlags, etcdFlags } from './daemon-flags.ts';
import { poll } from './poll.ts';

/** Why a real control plane cannot be started here, in one line, or undefined when it can. */
export async function whyNoControlPlane(): Promise<string | undefined> {
  const obstacle = await controlPlaneObstacle();
  if (obstacle) return obstacle;
  if ((await findProgram('etcd')) || process.getuid?.() === 0) return undefined;
  return 'etcd is missing and only root can install it (package etcd-server)';
}

/** What the contract suite needs of the controller manager; Deployments and Jobs are nobody's here. */
const controllers = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'deployment-controller',
  'replicaset-controller',
  'job-controller',
  'persistentvolumeclaim-protection-controller',
];

const certificateRequests: readonly CertificateRequest[] = [
  {
    name: 'apiserver',
    subject: '/CN=kube-apiserver',
    alternativeNames: 'IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc',
  },
  { name: 'admin', subject: '/O=system:masters/CN=fleet-test-admin' },
  { name: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
];

/**
 * Starts a private etcd, kube-apiserver and kube-controller-manager on free loopback ports, with an empty state in
 * `folder`. All of them end with this process.
 */
export async function startControlPlane(options: {
  folder: string;
}): Promise<{ kubeconfigFile: string; stop(): Promise<void> }> {
  const { folder } = options;
  const binaries = await ensureControlPlaneBinaries();
  const etcd = await ensureProgram('etcd', 'etcd-server');
  const certificates = join(folder, 'certificates');
  await mkdir(folder, { recursive: true });
  await makeCertificates(certificates, certificateRequests);
  const [etcdPort, peerPort, apiPort, managerPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const url = `https://127.0.0.1:${apiPort}`;
  const kubeconfigFile = join(folder, 'admin.kubeconfig');
  const managerKubeconfig = join(folder, 'controller-manager.kubeconfig');
  await writeClientKubeconfig(kubeconfigFile, { certificates, client: 'admin', url });
  await writeClientKubeconfig(managerKubeconfig, { certificates, client: 'controller-manager', url });

  const group = await openProcessGroup();
  const client = await openClusterClient(kubeconfigFile);
  try {
    const start = starter(group, folder);
    await start('etcd', etcd, etcdFlags({ folder, port: etcdPort, peerPort }));
    await ageStore(etcdPort);
    const server = await start(
      'kube-apiserver',
      binaries.apiServer,
      apiServerArguments({ certificates, etcdPort, port: apiPort }),
    );
    await waitUntilReady(client, { server, logFile: join(folder, 'kube-apiserver.log') });
    await start('kube-controller-manager', binaries.controllerManager, [
      ...controllerManagerFlags({ certificates, kubeconfig: managerKubeconfig, port: managerPort }),
      `--controllers=${controllers.join(',')}`,
    ]);
    await waitForAccount(client, 'default');
  } catch (error) {
    await group.stopAll();
    throw error;
  } finally {
    await client.close();
  }
  return { kubeconfigFile, stop: () => group.stopAll() };
}

function starter(group: ProcessGroup, folder: string) {
  return (name: string, command: string, args: string[]): Promise<RunningProcess> =>
    group.start({
      name,
      command,
      args,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder },
      cwd: folder,
      logFile: join(folder, `${name}.log`),
    });
}

function apiServerArguments(place: { certificates: string; etcdPort: number; port: number }): string[] {
  return [
    ...apiServerFlags({ ...place, address: '127.0.0.1', serviceNetwork: '10.96.0.0/16' }),
    '--authorization-mode=RBAC',
    // Loopback may not be an endpoint of a Service, and nothing here looks for one.
    '--endpoint-reconciler-type=none',
  ];
}

async function waitUntilReady(
  client: ClusterClient,
  { server, logFile }: { server: RunningProcess; logFile: string },
): Promise<void> {
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  await poll(`the API server (see ${logFile})`, async () => {
    if (ended) throw new Error(`kube-apiserver ended before it was ready, see ${logFile}`);
    return (await client.request('GET', '/readyz')).status === 200;
  });
}

/** Pods are refused until the controller has made their ServiceAccount. */
export async function waitForAccount(client: ClusterClient, namespace: string): Promise<void> {
  await poll(`the ServiceAccount default in ${namespace}`, async () => {
    const { status } = await client.request('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`);
    return status === 200;
  });
}
