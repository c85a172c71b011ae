import { randomBytes } from 'node:crypto';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import type { Credentials, WantedRuntime } from '#shared/domain/instance/ports.ts';

const databaseServer = {
  id: 'pg-1',
  host: '10.0.0.5',
  port: 5432,
  adminUser: 'fleet_admin',
  secretKey: 'pg-1',
  sslMode: 'prefer',
};

/** An instance with a new id. */
export function exampleInstance(): Instance {
  const id = deriveInstanceId('test', randomBytes(8).toString('hex'));
  return {
    id,
    customerId: 'customer-1',
    name: 'shop',
    host: `${id}.example.com`,
    clusterId: 'main',
    desiredState: 'running',
    suspensions: [],
    restartedBy: null,
    domains: [],
    clonedFrom: null,
    status: 'creating',
    generation: 1,
    observedGeneration: 0,
    plan: {
      id: 'basic',
      cpuMillis: 1000,
      memoryMib: 1024,
      diskGib: 5,
      workers: 0,
      cronThreads: 1,
      databaseConnections: 16,
      replicas: 1,
    },
    image: {
      id: 'odoo-19',
      reference: 'odoo:19',
      odooVersion: '19.0',
      edition: 'community',
      addonsDigest: '',
      languages: ['en_US'],
    },
    databaseServer,
    modules: [],
    settings: {},
    adminLogin: 'owner@example.com',
    language: 'en_US',
  };
}

export function exampleRuntime(options: { fence?: number } = {}): WantedRuntime & { credentials: Credentials } {
  return {
    operationId: '0199a000-0000-7000-8000-000000000001',
    fence: options.fence ?? 5,
    databaseServer,
    credentials: {
      databasePassword: 'database-password-of-the-test',
      adminPassword: 'admin-password-of-the-test',
      masterPassword: 'master-password-of-the-test',
    },
  };
}
