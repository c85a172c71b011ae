import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { DatabaseServer, Instance } from '#shared/domain/instance/instance.ts';
import type { Credentials } from '#shared/domain/instance/ports.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';

// Examples of what the domain works on; a test names what matters to it.

export function exampleServer(change: Partial<DatabaseServer> = {}): DatabaseServer {
  return {
    id: 'one',
    host: 'db.example',
    port: 5432,
    adminUser: 'fleet_admin',
    secretKey: 'one',
    sslMode: 'verify-full',
    ...change,
  };
}

export function exampleInstance(change: Partial<Instance> = {}): Instance {
  return {
    id: 'abcdefgh2345',
    customerId: 'c-1',
    name: 'acme',
    host: 'acme.odoo.example',
    domains: [],
    clusterId: 'default',
    desiredState: 'running',
    suspensions: [],
    restartedBy: null,
    clonedFrom: null,
    status: 'starting',
    generation: 1,
    observedGeneration: 0,
    plan: {
      id: 'small',
      cpuMillis: 500,
      memoryMib: 512,
      diskGib: 5,
      workers: 0,
      cronThreads: 1,
      databaseConnections: 16,
      replicas: 1,
    },
    image: {
      id: 'odoo-19',
      reference: 'odoo@sha256:0',
      odooVersion: '19.0',
      edition: 'community',
      addonsDigest: '',
      languages: ['en_US'],
    },
    databaseServer: exampleServer(),
    modules: ['crm'],
    settings: {},
    adminLogin: 'owner@acme.example',
    language: 'en_US',
    ...change,
  };
}

export function exampleOperation(change: Partial<Operation> = {}): Operation {
  return {
    id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
    instanceId: 'abcdefgh2345',
    kind: 'provision',
    definitionVersion: 1,
    state: 'running',
    step: null,
    attempt: 1,
    round: 1,
    fence: 3,
    generation: 1,
    waitingFor: null,
    deadline: new Date(Date.now() + 1_800_000),
    deadlinePassed: false,
    ageMs: 0,
    cancelRequested: false,
    overtakenBy: null,
    requestedBy: 'urn:test',
    cause: 'event-1',
    request: {},
    ...change,
  };
}

export const exampleCredentials: Credentials = {
  databasePassword: 'of-the-database',
  adminPassword: 'of-the-admin',
  masterPassword: 'of-the-master',
};

export function exampleContext(change: Partial<InstanceContext> = {}): InstanceContext {
  return {
    operation: exampleOperation(),
    instance: exampleInstance(),
    publicUrl: 'https://acme.odoo.example',
    credentials: undefined,
    loadedAtMs: performance.now(),
    ...change,
  };
}
