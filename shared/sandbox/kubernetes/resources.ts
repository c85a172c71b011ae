/** One kind this server stores. */
export type Resource = {
  group: string;
  version: string;
  plural: string;
  kind: string;
  isNamespaced: boolean;
  hasStatus: boolean;
  /** `metadata.generation` counts changes of the spec. */
  hasGeneration: boolean;
  /** Field selectors besides `metadata.name` and `metadata.namespace`. */
  fieldSelectors: readonly string[];
};

const plain = { isNamespaced: true, hasStatus: false, hasGeneration: false, fieldSelectors: [] };
const core = { ...plain, group: '', version: 'v1' };
const counted = { ...plain, hasGeneration: true };

export const resources: readonly Resource[] = [
  {
    ...core,
    plural: 'namespaces',
    kind: 'Namespace',
    isNamespaced: false,
    hasStatus: true,
    fieldSelectors: ['status.phase'],
  },
  { ...core, plural: 'secrets', kind: 'Secret', fieldSelectors: ['type'] },
  { ...core, plural: 'configmaps', kind: 'ConfigMap' },
  { ...core, plural: 'serviceaccounts', kind: 'ServiceAccount' },
  { ...core, plural: 'services', kind: 'Service', hasStatus: true, fieldSelectors: ['spec.clusterIP', 'spec.type'] },
  { ...core, plural: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', hasStatus: true },
  {
    ...core,
    plural: 'pods',
    kind: 'Pod',
    hasStatus: true,
    hasGeneration: true,
    fieldSelectors: ['spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.phase', 'status.podIP'],
  },
  { ...counted, group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment', hasStatus: true },
  {
    ...counted,
    group: 'batch',
    version: 'v1',
    plural: 'jobs',
    kind: 'Job',
    hasStatus: true,
    fieldSelectors: ['status.successful'],
  },
  { ...counted, group: 'networking.k8s.io', version: 'v1', plural: 'ingresses', kind: 'Ingress', hasStatus: true },
  { ...counted, group: 'networking.k8s.io', version: 'v1', plural: 'networkpolicies', kind: 'NetworkPolicy' },
];

export function findResource(group: string, version: string, plural: string): Resource | undefined {
  return resources.find((it) => it.group === group && it.version === version && it.plural === plural);
}

export function findKind(apiVersion: string, kind: string): Resource | undefined {
  return resources.find((it) => apiVersionOf(it) === apiVersion && it.kind === kind);
}

export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** `deployments.apps`, `secrets`: how error messages name a resource. */
export function qualifiedName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** Identifies a resource in the store and in the journal. */
export function resourceKey(resource: Resource): string {
  return `${apiVersionOf(resource)}/${resource.plural}`;
}
