import type { Config } from './config.ts';
import type { tenantCluster } from './rows.ts';

type NamespaceLabels = Readonly<Record<string, string>>;

/** The cluster's settings as its adapter wants them. Kubernetes itself puts the name label on every namespace. */
export function tenantClusterOptions(config: Config<typeof tenantCluster>) {
  const named = (name: string): NamespaceLabels => ({ 'kubernetes.io/metadata.name': name });
  return {
    namespace: config.tenantNamespace,
    clientNamespaces: [named(config.ingressNamespace), named(config.functionsNamespace)],
    ...(config.kubeconfig === undefined ? {} : { kubeconfigFile: config.kubeconfig }),
    ...(config.ingressClass === undefined ? {} : { ingressClassName: config.ingressClass }),
    ...(config.tlsSecretName === undefined ? {} : { tlsSecretName: config.tlsSecretName }),
    ...(config.certificateIssuer === undefined ? {} : { certificateIssuer: config.certificateIssuer }),
    ...(config.databaseCidrs === undefined ? {} : { databaseCidrs: config.databaseCidrs.split(',') }),
    ...(config.storageClass === undefined ? {} : { storageClassName: config.storageClass }),
  };
}
