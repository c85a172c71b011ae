import { added, changed, objectOf, other, replaced, small } from './example-objects.fixture.ts';
import type { Operation } from './json-patch.ts';
import type { Manifest } from './kustomize.ts';

/**
 * What is wrong in the eyes of two policies is refused by the one that the server comes to first, in no certain order.
 * What the first says by itself shows on Secrets, which no other looks at for their labels and names.
 */
export const byEither = /ValidatingAdmissionPolicy 'odoo-fleet-tenant-(objects|pods)' .*denied request/;

/** `message` is what the server refuses it with. */
export type Temptation = [what: string, object: Manifest, message: RegExp];

/** What a function that somebody has taken over might try to create. */
export function temptations(): Temptation[] {
  return [...podTemptations(), ...objectTemptations(), ...accessTemptations()];
}

function podTemptations(): Temptation[] {
  const pod = '/spec/template/spec';
  const container = `${pod}/containers/0`;
  const secretVolume = (secretName: string) => added(`${pod}/volumes/-`, { name: 'more', secret: { secretName } });
  const volume = (source: object) => added(`${pod}/volumes/-`, { name: 'more', ...source });
  const onDeployment = (what: string, operation: Operation, message: RegExp): Temptation => [
    `a Deployment with ${what}`,
    changed(objectOf('Deployment'), [operation]),
    message,
  ];
  const onJob = (what: string, operation: Operation, message: RegExp): Temptation => [
    `a Job with ${what}`,
    changed(objectOf('Job', 'a Job of an instance'), [operation]),
    message,
  ];
  const ownVolumes = /of volumes there may be/;
  const noVariables = /no variable of a tenant/;
  return [
    onDeployment("another instance's Secret", secretVolume(`odoo-${other.id}-configuration`), ownVolumes),
    onJob("another instance's Secret", secretVolume(`odoo-${other.id}-configuration`), ownVolumes),
    onJob("its own instance's passwords", secretVolume(`odoo-${small.id}-credentials`), ownVolumes),
    onDeployment(
      "another instance's volume",
      volume({ persistentVolumeClaim: { claimName: `odoo-${other.id}` } }),
      ownVolumes,
    ),
    onDeployment('a folder of the node', volume({ hostPath: { path: '/' } }), ownVolumes),
    onDeployment(
      'a projected token',
      volume({ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }),
      ownVolumes,
    ),
    onDeployment(
      'a projected Secret',
      volume({ projected: { sources: [{ secret: { name: `odoo-${other.id}-configuration` } }] } }),
      ownVolumes,
    ),
    onDeployment('a storage driver of the node', volume({ csi: { driver: 'secrets-store.csi.k8s.io' } }), ownVolumes),
    onDeployment('a ConfigMap', volume({ configMap: { name: 'kube-root-ca.crt' } }), ownVolumes),
    onDeployment(
      "another instance's Secret as a variable",
      added(`${container}/env/-`, {
        name: 'STOLEN',
        valueFrom: { secretKeyRef: { name: `odoo-${other.id}-credentials`, key: 'admin-password' } },
      }),
      noVariables,
    ),
    onDeployment(
      "all of another instance's Secret as variables",
      added(`${container}/envFrom`, [{ secretRef: { name: `odoo-${other.id}-credentials` } }]),
      noVariables,
    ),
    onDeployment(
      'a stronger ServiceAccount',
      added(`${pod}/serviceAccountName`, 'fleet-event-source'),
      /ServiceAccount default/,
    ),
    onJob(
      'a stronger ServiceAccount',
      added(`${pod}/serviceAccountName`, 'fleet-event-source'),
      /ServiceAccount default/,
    ),
    onDeployment('a mounted token', replaced(`${pod}/automountServiceAccountToken`, true), /no token/),
    onDeployment('the default about tokens', { op: 'remove', path: `${pod}/automountServiceAccountToken` }, /no token/),
    onDeployment(
      'an image off the list',
      replaced(`${container}/image`, 'busybox:latest'),
      /image busybox:latest is not in/,
    ),
    onDeployment(
      'an image that only begins like one',
      replaced(`${container}/image`, 'odoo:19evil'),
      /odoo:19evil is not in/,
    ),
    onJob('an image off the list', replaced(`${container}/image`, 'busybox:latest'), /busybox:latest is not in/),
    onDeployment(
      'an image off the list that runs first',
      added(`${pod}/initContainers`, [{ name: 'first', image: 'busybox:latest' }]),
      /busybox:latest is not in/,
    ),
    onDeployment(
      'credentials of a registry',
      added(`${pod}/imagePullSecrets`, [{ name: 'registry' }]),
      /of a registry/,
    ),
    onDeployment('a node of its choice', added(`${pod}/nodeName`, 'control-plane'), /scheduler/),
    onDeployment('precedence over the system', added(`${pod}/priorityClassName`, 'system-node-critical'), /scheduler/),
    onDeployment(
      "pods that take another instance's visitors",
      replaced('/spec/template/metadata/labels/odoofleet.dev~1instance', other.id),
      /bear the labels of their instance/,
    ),
  ];
}

function objectTemptations(): Temptation[] {
  const owner = '/metadata/labels/odoofleet.dev~1instance';
  const secret = objectOf('Secret');
  return [
    ['a Deployment without our labels', changed(objectOf('Deployment'), [{ op: 'remove', path: owner }]), byEither],
    ['a Secret without our labels', changed(secret, [{ op: 'remove', path: owner }]), /does not bear the labels/],
    [
      "a Deployment under another instance's name",
      changed(objectOf('Deployment'), [replaced('/metadata/name', `odoo-${other.id}`)]),
      byEither,
    ],
    [
      "another instance's Secret under its own label",
      changed(secret, [replaced('/metadata/name', `odoo-${other.id}-credentials`)]),
      /is not a name of instance/,
    ],
    [
      'a Job that is called like a Secret of its instance',
      changed(objectOf('Job', 'a Job of an instance'), [replaced('/metadata/name', `odoo-${small.id}-credentials`)]),
      byEither,
    ],
    [
      'a name that the server makes',
      changed(secret, [{ op: 'remove', path: '/metadata/name' }, added('/metadata/generateName', `odoo-${small.id}-`)]),
      /is not a name of instance/,
    ],
    ['a label that breaks out of a name', changed(secret, [replaced(owner, 'x')]), /does not bear the labels/],
  ];
}

function accessTemptations(): Temptation[] {
  const backend = '/spec/rules/0/http/paths/0/backend/service/name';
  return [
    [
      "a Secret that is filled with a ServiceAccount's token",
      changed(objectOf('Secret'), [
        replaced('/type', 'kubernetes.io/service-account-token'),
        added('/metadata/annotations', { 'kubernetes.io/service-account.name': 'fleet-event-source' }),
      ]),
      /is Opaque/,
    ],
    [
      'a Service with a public address',
      changed(objectOf('Service'), [added('/spec/type', 'LoadBalancer')]),
      /is a ClusterIP/,
    ],
    [
      'a Service on an address of the network',
      changed(objectOf('Service'), [added('/spec/externalIPs', ['192.0.2.1'])]),
      /is a ClusterIP/,
    ],
    [
      "a Service that leads to another instance's pods",
      changed(objectOf('Service'), [replaced('/spec/selector/app.kubernetes.io~1instance', `odoo-${other.id}`)]),
      /selects its own pods/,
    ],
    [
      'a Service that leads out of the cluster',
      changed(objectOf('Service'), [replaced('/spec', { type: 'ExternalName', externalName: 'example.com' })]),
      /is a ClusterIP/,
    ],
    [
      "a claim that takes another instance's volume",
      changed(objectOf('PersistentVolumeClaim'), [added('/spec/volumeName', 'pv-of-another')]),
      /begins empty/,
    ],
    [
      "a claim that copies another instance's volume",
      changed(objectOf('PersistentVolumeClaim'), [
        added('/spec/dataSource', { kind: 'PersistentVolumeClaim', name: `odoo-${other.id}` }),
      ]),
      /begins empty/,
    ],
    [
      "an Ingress to another instance's Service",
      changed(objectOf('Ingress'), [replaced(backend, `odoo-${other.id}`)]),
      /leads to its own Service/,
    ],
    [
      'an Ingress for every host',
      changed(objectOf('Ingress'), [{ op: 'remove', path: '/spec/rules/0/host' }]),
      /is for named hosts/,
    ],
    [
      'a NetworkPolicy that opens all pods',
      changed(objectOf('NetworkPolicy'), [replaced('/spec/podSelector', {})]),
      /is for its own pods/,
    ],
    [
      'a NetworkPolicy that forgets a direction',
      changed(objectOf('NetworkPolicy'), [
        replaced('/spec/policyTypes', ['Ingress']),
        { op: 'remove', path: '/spec/egress' },
      ]),
      /in both directions/,
    ],
  ];
}

type WithTemplate = { spec: { template: { spec: object } } };

/** As if somebody had given a function all rights in the tenants' namespace by mistake. */
export const everyRight = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'mistake', namespace: 'odoo-tenants' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
  subjects: [{ kind: 'ServiceAccount', name: 'repair', namespace: 'odoo-fleet' }],
} as Manifest;

const stolenSecret = (name: string) => ({ name, secret: { secretName: `odoo-${other.id}-credentials` } });
const podWith = (spec: object) => ({ spec: { template: { spec } } });
/** Merge patches of a small instance's Deployment. */
export const forbiddenChanges: readonly [change: object, message: RegExp][] = [
  [podWith({ automountServiceAccountToken: null }), /no token/],
  [podWith({ serviceAccountName: 'fleet-event-source' }), /ServiceAccount default/],
  [podWith({ volumes: ['configuration', 'data', 'temporary'].map(stolenSecret) }), /of volumes/],
  [{ metadata: { labels: { 'odoofleet.dev/instance': other.id } } }, byEither],
  [{ metadata: { labels: { 'app.kubernetes.io/managed-by': 'nobody' } } }, /does not bear the labels/],
];

const inTenants = '/api/v1/namespaces/odoo-tenants';
const pod = { metadata: { name: 'x' }, spec: (objectOf('Deployment') as unknown as WithTemplate).spec.template.spec };
/** What no right may let a function do. */
export const forbiddenCalls: readonly [method: string, path: string, body: object][] = [
  ['POST', `${inTenants}/pods?dryRun=All`, pod],
  ['POST', `${inTenants}/configmaps?dryRun=All`, { metadata: { name: 'x' } }],
  ['POST', `${inTenants}/serviceaccounts/fleet-event-source/token?dryRun=All`, { spec: {} }],
  [
    'POST',
    '/apis/rbac.authorization.k8s.io/v1/namespaces/odoo-tenants/rolebindings?dryRun=All',
    {
      metadata: { name: 'x' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [],
    },
  ],
  ['DELETE', `${inTenants}/resourcequotas/fleet?dryRun=All`, {}],
  ['DELETE', '/apis/networking.k8s.io/v1/namespaces/odoo-tenants/networkpolicies/default-deny?dryRun=All', {}],
];

const inFleet = '/api/v1/namespaces/odoo-fleet';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
/** What a function that somebody has taken over might ask for, and has no right to. */
export const refusedCalls: readonly [as: string, method: string, path: string][] = [
  ['provision', 'GET', `${inFleet}/secrets/platform-postgres`],
  ['provision', 'GET', `${inTenants}/secrets`],
  ['billing', 'GET', `${inTenants}/secrets/odoo-a-credentials`],
  ['provision', 'POST', `${inTenants}/pods`],
  ['provision', 'POST', `${inTenants}/pods/x/exec`],
  ['provision', 'POST', `${inTenants}/serviceaccounts/fleet-event-source/token`],
  ['reconcile', 'DELETE', `${inTenants}/persistentvolumeclaims/odoo-a`],
  ['suspend', 'DELETE', `${inTenants}/secrets/odoo-a-credentials`],
  ['terminate', 'DELETE', `${inTenants}/persistentvolumeclaims/odoo-a`],
  ['purge', 'DELETE', `${inTenants}/persistentvolumeclaims`],
  ['repair', 'POST', `${rbac}/namespaces/odoo-tenants/rolebindings`],
  ['repair', 'POST', `${rbac}/clusterrolebindings`],
  ['provision', 'PATCH', `${inFleet}/configmaps/tenant-images`],
  [
    'provision',
    'DELETE',
    '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/odoo-fleet-tenant-pods',
  ],
  ['provision', 'GET', '/api/v1/nodes'],
  ['provision', 'GET', '/api/v1/nodes/any/proxy/pods'],
  ['provision', 'POST', '/api/v1/namespaces'],
  ['reconcile', 'GET', `${inFleet}/secrets/odoo-postgres`],
  ['reconcile', 'GET', '/api/v1/namespaces/kube-system/secrets'],
  ['provision', 'POST', `${inFleet}/serviceaccounts/purge/token`],
  ['provision', 'PATCH', '/apis/serving.knative.dev/v1/namespaces/odoo-fleet/services/provision'],
  ['provision', 'POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests'],
  ['repair', 'PATCH', `${rbac}/namespaces/odoo-tenants/roles/repair`],
  ['observe', 'GET', `${inTenants}/pods`],
];
