import { X509Certificate } from 'node:crypto';
import { access, chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CertificateRequest, makeCertificates, writeClientKubeconfig } from './certificates.ts';
import { addresses, nodeName, type Places, ports } from './places.ts';

/** Who speaks to the API server of the node, each with a certificate and a kubeconfig of its own. */
const clients: readonly CertificateRequest[] = [
  { name: 'admin', subject: '/O=system:masters/CN=fleet-admin' },
  {
    name: 'kubelet',
    subject: `/O=system:nodes/CN=system:node:${nodeName}`,
    alternativeNames: `IP:${addresses.node},DNS:${nodeName}`,
  },
  { name: 'controller-manager', subject: '/CN=system:kube-controller-manager' },
  { name: 'scheduler', subject: '/CN=system:kube-scheduler' },
  { name: 'proxy', subject: '/CN=system:kube-proxy' },
];

const servers: readonly CertificateRequest[] = [
  {
    name: 'apiserver',
    subject: '/CN=kube-apiserver',
    alternativeNames: [
      `IP:${addresses.node}`,
      `IP:${addresses.kubernetesService}`,
      ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'].map(
        (name) => `DNS:${name}`,
      ),
    ].join(','),
  },
  { name: 'apiserver-to-kubelet', subject: `/CN=${kubeletUser()}` },
];

/** The user as which the API server asks the kubelet for logs. */
export function kubeletUser(): string {
  return 'fleet-apiserver';
}

/** Certificates and kubeconfigs of all parts of the node, made once for each cluster. */
export async function ensureNodeCertificates(places: Places): Promise<void> {
  const last = join(places.certificates, `${servers.at(-1)?.name}.crt`);
  if (!(await exists(last))) await makeCertificates(places.certificates, [...clients, ...servers]);
  await refuseExpired(last);
  const url = `https://${addresses.node}:${ports.apiServer}`;
  for (const { name } of clients) {
    const file = kubeconfigOf(places, name);
    await writeClientKubeconfig(file, { certificates: places.certificates, client: name, url });
    await chmod(file, 0o600);
  }
}

export function kubeconfigOf(places: Places, client: string): string {
  return join(places.state, `${client}.kubeconfig`);
}

async function refuseExpired(file: string): Promise<void> {
  const { validToDate } = new X509Certificate(await readFile(file));
  if (validToDate.getTime() > Date.now()) return;
  throw new Error('the cluster is older than its certificates: take it down, and up again');
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
