import { randomUUID } from 'node:crypto';
import { resourceUpdate } from '#events/knative/resource-update.ts';

export const apiServer = 'https://10.96.0.1:443';

/** A request as the broker delivers a change of a Deployment. */
export type ClusterRequest = { headers: Record<string, string>; body: Buffer };

let version = 1_000_000;

/** A Deployment as an API server sends it whole, with or without its pod; every one is newer than the one before. */
export function requestOf(instanceId: string, isAvailable: boolean): ClusterRequest {
  version += 1;
  return {
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': randomUUID(),
      'ce-source': apiServer,
      'ce-type': resourceUpdate.type,
      'ce-time': new Date().toISOString(),
    },
    body: Buffer.from(JSON.stringify(deployment(instanceId, isAvailable))),
  };
}

function deployment(id: string, isAvailable: boolean) {
  const name = `odoo-${id}`;
  const labels = {
    'app.kubernetes.io/name': 'odoo',
    'app.kubernetes.io/managed-by': 'odoo-fleet',
    'app.kubernetes.io/instance': name,
    'odoofleet.dev/instance': id,
    'odoofleet.dev/shard': id.slice(0, 1),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      namespace: 'odoo-tenants',
      uid: '6f2b0a52-6f0e-4b0e-9a55-2a8f6f6f1c11',
      resourceVersion: String(version),
      generation: 1,
      creationTimestamp: '2026-11-21T10:00:00Z',
      labels,
      annotations: { 'deployment.kubernetes.io/revision': '1', 'odoofleet.dev/desired': 'f00d'.repeat(8) },
      managedFields: [
        { manager: 'odoo-fleet', operation: 'Apply', apiVersion: 'apps/v1', fieldsType: 'FieldsV1', fieldsV1: fields },
        { manager: 'kube-controller-manager', operation: 'Update', subresource: 'status', fieldsV1: fields },
      ],
    },
    spec: {
      replicas: 1,
      selector: { matchLabels: { 'app.kubernetes.io/instance': name } },
      strategy: { type: 'Recreate' },
      template: { metadata: { labels }, spec: podSpec(name) },
    },
    status: {
      observedGeneration: 1,
      replicas: 1,
      updatedReplicas: 1,
      ...(isAvailable ? { readyReplicas: 1, availableReplicas: 1 } : { unavailableReplicas: 1 }),
      conditions: [
        {
          type: 'Available',
          status: isAvailable ? 'True' : 'False',
          reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
          message: `Deployment ${isAvailable ? 'has' : 'does not have'} minimum availability.`,
          lastUpdateTime: '2026-11-21T10:00:00Z',
          lastTransitionTime: '2026-11-21T10:00:00Z',
        },
      ],
    },
  };
}

const fields = {
  'f:metadata': { 'f:labels': { 'f:app.kubernetes.io/name': {}, 'f:odoofleet.dev/instance': {} } },
  'f:spec': {
    'f:replicas': {},
    'f:selector': {},
    'f:strategy': {},
    'f:template': { 'f:spec': { 'f:containers': {} } },
  },
};

function podSpec(name: string) {
  const httpGet = { path: '/web/login', port: 'http', scheme: 'HTTP' };
  return {
    automountServiceAccountToken: false,
    containers: [
      {
        name: 'odoo',
        image: 'registry.example/odoo@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
        args: ['--config=/etc/odoo/odoo.conf', '--http-interface=$(POD_IP)'],
        ports: [{ name: 'http', containerPort: 8069, protocol: 'TCP' }],
        resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
        startupProbe: { httpGet, periodSeconds: 1, failureThreshold: 300, timeoutSeconds: 5 },
        readinessProbe: { httpGet, periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 5 },
        volumeMounts: [{ name: 'data', mountPath: '/var/lib/odoo' }],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: name } },
      { name: 'configuration', secret: { secretName: `${name}-configuration` } },
    ],
  };
}
