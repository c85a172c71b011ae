import type { DatabaseServer, Image, Instance, Plan } from '#shared/domain/instance/instance.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';

// The fleet of this bench: rows, objects and catalogues are made of the same numbers, so nothing drifts.

/** Its databases are on so many servers. */
export const serverCount = 5;

export const plan: Plan = {
  id: 'small',
  cpuMillis: 500,
  memoryMib: 512,
  diskGib: 5,
  workers: 2,
  cronThreads: 1,
  databaseConnections: 16,
  replicas: 1,
};

export const image: Image = {
  id: 'odoo-19',
  reference: 'registry.example/odoo@sha256:0123456789abcdef',
  odooVersion: '19.0',
  edition: 'community',
  addonsDigest: '',
  languages: ['en_US'],
};

export const settings = {
  clientNamespaces: [{ 'kubernetes.io/metadata.name': 'ingress-nginx' }],
  ingressClassName: 'nginx',
  tlsSecretName: 'wildcard',
};

/** The namespace stands for the number of instances whose objects are in it. */
export const namespaceOf = (instances: number): string => `bench-${instances}`;

export const instanceIdOf = (number: number): string => deriveInstanceId('bench', String(number));

export function serverOf(number: number): DatabaseServer {
  const id = `pg-${number % serverCount}`;
  return { id, host: `${id}.example`, port: 5432, adminUser: 'fleet_admin', secretKey: id, sslMode: 'verify-full' };
}

/** As `readCatalogue` and the pages give it. */
export function instanceOf(number: number): Instance {
  const id = instanceIdOf(number);
  return {
    id,
    customerId: 'c-1',
    name: `n-${id}`,
    host: `n-${id}.odoo.example`,
    clusterId: 'default',
    desiredState: 'running',
    suspensions: [],
    restartedBy: null,
    domains: [],
    clonedFrom: null,
    status: 'running',
    generation: 1,
    observedGeneration: 1,
    plan,
    image,
    databaseServer: serverOf(number),
    modules: [],
    settings: {},
    adminLogin: 'owner@acme.example',
    language: 'en_US',
  };
}
