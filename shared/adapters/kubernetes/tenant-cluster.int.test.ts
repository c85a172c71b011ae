import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { type Fault, type KubernetesApi, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { type KubernetesClient, openKubernetesClient } from '#shared/sandbox/kubernetes-client.ts';
import { tenantClusterContract } from '#shared/testing/contracts/tenant-cluster.ts';
import { clusterDriftContract } from '#shared/testing/contracts/tenant-cluster-drift.ts';
import { jobOf } from '#shared/testing/contracts/tenant-cluster-jobs.ts';
import { clusterSurveyContract } from '#shared/testing/contracts/tenant-cluster-survey.ts';
import { openKubernetesApi } from './client.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { openTenantCluster } from './open.ts';
import { exampleInstance, exampleRuntime } from './test-instance.fixture.ts';

const namespace = 'odoo-tenants';

let folder: string;
let server: KubernetesApi;
let intercept: ((request: { method: string; path: string }) => Fault | undefined) | undefined;
let adapter: ReturnType<typeof openTenantCluster>;
let raw: ReturnType<typeof openKubernetesApi>;
let sandbox: KubernetesClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubernetes-adapter-'));
  server = await startKubernetesApi({ folder, intercept: (request) => intercept?.(request) });
  adapter = open();
  raw = openKubernetesApi({ kubeconfigFile: server.kubeconfigFile });
  sandbox = await openKubernetesClient(server.kubeconfigFile);
});

afterEach(() => {
  intercept = undefined;
});

afterAll(async () => {
  await adapter.close();
  await raw.close();
  await sandbox.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

function open(options: { tryTimeoutMs?: number; callTimeoutMs?: number } = {}) {
  return openTenantCluster({ kubeconfigFile: server.kubeconfigFile, namespace, clientNamespaces: [], ...options });
}

const read = (kind: Kind, name: string) => raw.read<Stored & { spec?: Record<string, unknown> }>(kind, namespace, name);

async function write(method: 'POST' | 'PATCH', kind: Kind, name: string, body: object) {
  const place = method === 'POST' ? { kind, namespace } : { kind, namespace, name };
  const answer = await raw.send({
    method,
    ...place,
    body,
    contentType: method === 'PATCH' ? mergePatch : 'application/json',
  });
  if ('refusal' in answer) throw new Error(JSON.stringify(answer.refusal));
}
const mergePatch = 'application/merge-patch+json';

/** Does something at the first request that fits, once. */
function once(method: string, part: string, fault: Fault | (() => Fault | undefined)) {
  let isDone = false;
  intercept = (request) => {
    if (isDone || request.method !== method || !request.path.includes(part)) return undefined;
    isDone = true;
    return typeof fault === 'function' ? fault() : fault;
  };
}

const openSandbox = async () => ({ kubeconfigFile: server.kubeconfigFile, namespace, close: async () => undefined });

tenantClusterContract("the sandbox's server", openSandbox);
clusterDriftContract("the sandbox's server", openSandbox);
clusterSurveyContract("the sandbox's server", openSandbox);

describe('what the cluster holds', () => {
  it('is told of each instance, with the server of its database and without a password', async () => {
    const instance = exampleInstance();
    const runtime = exampleRuntime({ fence: 6 });
    for (const part of ['volume', 'configuration', 'deployment', 'ingress'] as const) {
      await adapter.cluster.apply(instance, part, runtime);
    }
    const held = (await adapter.holdings()).get(instance.id);
    expect(held).toMatchObject({
      fence: 6,
      hasVolume: true,
      deployment: { replicas: 1 },
      ingress: { host: instance.host },
      record: { customer: 'customer-1', name: 'shop' },
      databaseServer: { host: '10.0.0.5', port: 5432 },
    });
    expect(JSON.stringify(held)).not.toContain(runtime.credentials.databasePassword);
  });
});

describe('two holders of one instance', () => {
  it('the older one, stopped between its look and its write, is refused by the server', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 6 }));
    const older = { ...instance, plan: { ...instance.plan, memoryMib: 4096 } };
    const newer = { ...instance, plan: { ...instance.plan, memoryMib: 8192 } };
    const second = open();
    let newerWrote: Promise<void> | undefined;
    once('PATCH', '/deployments/', () => {
      newerWrote = second.cluster.apply(newer, 'deployment', exampleRuntime({ fence: 7 }));
      return { until: newerWrote };
    });
    await expect(adapter.cluster.apply(older, 'deployment', exampleRuntime({ fence: 6 }))).rejects.toMatchObject({
      code: 'fenced',
    });
    await newerWrote;
    expect(await second.cluster.look(newer, 'deployment', exampleRuntime({ fence: 7 }))).toBe('done');
    await second.close();
  });

  it('a change by somebody else between look and write is looked at, and kept', async () => {
    const instance = exampleInstance();
    const name = `odoo-${instance.id}`;
    const moved = { ...instance, host: 'other.example.com' };
    await adapter.cluster.apply(instance, 'ingress', exampleRuntime());
    let touched: Promise<void> | undefined;
    once('PATCH', 'fieldManager=odoo-fleet', () => {
      touched = write('PATCH', kinds.ingress, name, { metadata: { annotations: { note: 'by hand' } } });
      return { until: touched };
    });
    await adapter.cluster.apply(moved, 'ingress', exampleRuntime());
    await touched;
    const annotations = (await read(kinds.ingress, name))?.metadata?.annotations;
    expect(annotations).toMatchObject({ note: 'by hand', 'odoofleet.dev/fence': '5' });
    expect(await adapter.cluster.look(moved, 'ingress', exampleRuntime())).toBe('done');
  });

  it('a change at every try is a conflict, for a write and for a deletion', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'ingress', exampleRuntime());
    intercept = ({ method }) => (method === 'PATCH' || method === 'DELETE' ? { status: 409 } : undefined);
    const moved = { ...instance, host: 'other.example.com' };
    const conflict = { code: 'conflict' };
    await expect(adapter.cluster.apply(moved, 'ingress', exampleRuntime())).rejects.toMatchObject(conflict);
    const fenced = { instanceId: instance.id, fence: 5 };
    await expect(adapter.cluster.remove(instance, 'ingress', fenced)).rejects.toMatchObject(conflict);
  });
});

describe('an API server in trouble', () => {
  it.each(['POST', 'GET'])('has the answer to a %s lost, and the object is there once', async (method) => {
    const instance = exampleInstance();
    once(method, '/services', { dropAnswer: true });
    await adapter.cluster.apply(instance, 'service', exampleRuntime());
    expect(await adapter.cluster.look(instance, 'service', exampleRuntime())).toBe('done');
  });

  it('has the answer to a change lost, and the change is made once', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'ingress', exampleRuntime());
    const moved = { ...instance, host: 'moved.example.com' };
    once('PATCH', '/ingresses/', { dropAnswer: true });
    await adapter.cluster.apply(moved, 'ingress', exampleRuntime());
    expect(await adapter.cluster.look(moved, 'ingress', exampleRuntime())).toBe('done');
  });

  it('has the answer to a deletion lost', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'service', exampleRuntime());
    once('DELETE', '/services/', { dropAnswer: true });
    await adapter.cluster.remove(instance, 'service', { instanceId: instance.id, fence: 5 });
    expect(await adapter.cluster.look(instance, 'service', exampleRuntime())).toBe('missing');
  });

  it.each([429, 500, 502, 503, 504])('answers %i once, and the call is made again', async (status) => {
    const instance = exampleInstance();
    once('POST', '/services', { status, ...(status === 429 ? { retryAfterSeconds: 0 } : {}) });
    await adapter.cluster.apply(instance, 'service', exampleRuntime());
    expect(await adapter.cluster.look(instance, 'service', exampleRuntime())).toBe('done');
  });

  it('asks for more time than there is, and the failure says so without waiting', async () => {
    intercept = () => ({ status: 429, retryAfterSeconds: 600 });
    const begun = performance.now();
    const look = adapter.cluster.look(exampleInstance(), 'service', exampleRuntime());
    await expect(look).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  it('is slow, and the call ends in time', async () => {
    const hasty = open({ tryTimeoutMs: 50, callTimeoutMs: 200 });
    intercept = () => ({ delayMs: 1000 });
    const look = hasty.cluster.look(exampleInstance(), 'service', exampleRuntime());
    await expect(look).rejects.toMatchObject({ code: 'timeout' });
    await hasty.close();
  });

  it('refuses the object itself, which nobody repeats', async () => {
    const instance = { ...exampleInstance(), host: 'not a host' };
    const before = adapter.stats().retries;
    await expect(adapter.cluster.apply(instance, 'ingress', exampleRuntime())).rejects.toMatchObject({
      code: 'constraint-violated',
    });
    expect(adapter.stats().retries).toBe(before);
  });

  it('is not there, or refuses the token', async () => {
    const wrong = openTenantCluster({
      serviceAccountFolder: folder,
      inClusterUrl: server.url,
      namespace,
      clientNamespaces: [],
    });
    await expect(wrong.cluster.availability(exampleInstance())).rejects.toMatchObject({ code: 'misconfigured' });
    intercept = () => ({ status: 401 });
    await expect(adapter.cluster.availability(exampleInstance())).rejects.toMatchObject({ code: 'misconfigured' });
  });

  it('has the answer to the creation of credentials lost, and they are the first values', async () => {
    const instance = exampleInstance();
    once('POST', '/secrets', { dropAnswer: true });
    const { credentials } = exampleRuntime();
    expect(await adapter.credentials.create(instance, credentials, { instanceId: instance.id, fence: 5 })).toEqual(
      credentials,
    );
  });
});

describe('Jobs', () => {
  it('that were broken off before their Secret was written are absent, and starting them again completes them', async () => {
    const job = jobOf(exampleInstance());
    intercept = ({ method, path }) => (method === 'POST' && path.includes('/secrets') ? { status: 403 } : undefined);
    await expect(adapter.jobs.start(job)).rejects.toBeInstanceOf(Failure);
    intercept = undefined;
    expect(await adapter.jobs.look(job.name)).toEqual({ state: 'absent' });
    await adapter.jobs.start(job);
    expect(await adapter.jobs.look(job.name)).toEqual({ state: 'running' });
  });

  it('tell how they ended', async () => {
    const failed = jobOf(exampleInstance());
    const good = jobOf(exampleInstance());
    await adapter.jobs.start(failed);
    await adapter.jobs.start(good);
    const why = { status: 'True', reason: 'DeadlineExceeded', message: 'too long' };
    await finish(failed.name, [
      { type: 'FailureTarget', ...why },
      { type: 'Failed', ...why },
    ]);
    await finish(good.name, [
      { type: 'SuccessCriteriaMet', status: 'True' },
      { type: 'Complete', status: 'True' },
    ]);
    expect(await adapter.jobs.look(failed.name)).toEqual({
      state: 'failed',
      reason: 'DeadlineExceeded: too long',
      wasInterrupted: false,
    });
    expect(await adapter.jobs.look(good.name)).toEqual({ state: 'succeeded' });
  });

  async function finish(name: string, conditions: object[]) {
    const startTime = '2026-01-01T00:00:00Z';
    const isDone = conditions.some((condition) => 'type' in condition && condition.type === 'Complete');
    const status = { conditions, startTime, ...(isDone ? { completionTime: startTime, succeeded: 1 } : {}) };
    const resource = { groupVersion: 'apis/batch/v1', plural: 'jobs' };
    await sandbox.patch(resource, { namespace, name }, { status }, { subresource: 'status' });
  }
});
