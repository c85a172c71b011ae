/** A kind's place in the API. */
export type Kind = { apiVersion: string; kind: string; plural: string };

export const kinds = {
  secret: { apiVersion: 'v1', kind: 'Secret', plural: 'secrets' },
  volumeClaim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims' },
  service: { apiVersion: 'v1', kind: 'Service', plural: 'services' },
  pod: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' },
  deployment: { apiVersion: 'apps/v1', kind: 'Deployment', plural: 'deployments' },
  job: { apiVersion: 'batch/v1', kind: 'Job', plural: 'jobs' },
  ingress: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', plural: 'ingresses' },
  networkPolicy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', plural: 'networkpolicies' },
} as const satisfies Record<string, Kind>;

/** What every stored object carries, as far as it is read here. */
export type Stored = {
  metadata?: {
    name?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    /** A Date in the client's models, text in the API's answers. */
    deletionTimestamp?: unknown;
  };
};

/** The path and query of an object or, without a name, of its collection. */
export function pathOf(place: {
  kind: Kind;
  namespace: string;
  name?: string;
  query?: Record<string, string>;
}): string {
  const { apiVersion, plural } = place.kind;
  const root = apiVersion === 'v1' ? '/api' : '/apis';
  const words = ['namespaces', place.namespace, plural, ...(place.name === undefined ? [] : [place.name])];
  const query = place.query === undefined ? '' : `?${new URLSearchParams(place.query).toString()}`;
  return `${root}/${apiVersion}/${words.map(encodeURIComponent).join('/')}${query}`;
}
