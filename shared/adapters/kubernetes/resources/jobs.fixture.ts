import type { WorkerJob } from '#shared/domain/backup/job-ports.ts';
import type { OdooJob } from '#shared/domain/instance/ports.ts';
import type { ClusterSettings } from './settings.ts';

/** A cluster with no more than what has no default, and one with all that can be set. */
export const settings: ClusterSettings = {
  namespace: 'odoo-tenants',
  clientNamespaces: [{ 'kubernetes.io/metadata.name': 'ingress' }, { 'odoofleet.dev/functions': 'yes' }],
};

export const full: ClusterSettings = {
  ...settings,
  mailRelay: { host: 'relay.example.com', port: 587 },
  ingressClassName: 'nginx',
  ingressAnnotations: { 'nginx.ingress.kubernetes.io/proxy-read-timeout': '720' },
  tlsSecretName: 'wildcard',
  storageClassName: 'fast',
  serviceAccountName: 'odoo-tenant',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecretName: 'registry',
};

export const job: OdooJob = {
  name: 'odoo-abcdefgh2345-init-1234-1',
  owner: 'abcdefgh2345',
  operationId: '0199a000-0000-7000-8000-000000000001',
  image: 'odoo:19',
  command: ['odoo', '--config=/etc/odoo/odoo.conf', '--init=base', '--stop-after-init', '--no-http'],
  odooConf: '[options]\ndb_password = job-secret\n',
  environment: {},
  memoryMib: 1024,
  deadlineSeconds: 900,
};

export const worker: WorkerJob = {
  name: 'odoo-abcdefgh2345-backup-1234-1',
  owner: 'abcdefgh2345',
  operationId: '0199a000-0000-7000-8000-000000000002',
  task: 'backup',
  image: 'odoo-fleet/worker:1',
  order: '{"password":"job-secret"}',
  volume: { claimName: 'odoo-abcdefgh2345', isInUse: true },
  memoryMib: 512,
  deadlineSeconds: 900,
};
