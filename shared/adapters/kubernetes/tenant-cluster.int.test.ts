import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { clusterParts, type WantedRuntime } from '#shared/domain/instance/ports.ts';
import { type Fault, type KubernetesApi, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { type KubernetesClient, openKubernetesClient } from '#shared/sandbox/kubernetes-client.ts';
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

async function applyAll(instance: Instance, wanted: WantedRuntime) {
  for (const part of clusterParts) await adapter.cluster.apply(instance, part, wanted);
}

async function looks(instance: Instance, wanted: WantedRuntime) {
  return await Promise.all(clusterParts.map((part) => adapter.cluster.look(instance, part, wanted)));
}

describe('the parts of an instance', () => {
  it('are missing, then done, and writing them again changes nothing', async () => {
    const instance = exampleInstance();
    const wanted = exampleRuntime();
    expect(new Set(await looks(instance, wanted))).toEqual(new Set(['missing']));
    await applyAll(instance, wanted);
    expect(new Set(await looks(instance, wanted))).toEqual(new Set(['done']));
    const before = await read(kinds.deployment, `odoo-${instance.id}`);
    await applyAll(instance, wanted);
    const after = await read(kinds.deployment, `odoo-${instance.id}`);
    expect(after?.metadata?.resourceVersion).toBe(before?.metadata?.resourceVersion);
  });

  it('carry who wrote them and hold no secret outside of Secrets', async () => {
    const instance = exampleInstance();
    const wanted = exampleRuntime();
    await applyAll(instance, wanted);
    const deployment = await read(kinds.deployment, `odoo-${instance.id}`);
    expect(deployment?.metadata?.annotations).toMatchObject({
      'odoofleet.dev/operation': wanted.operationId,
      'odoofleet.dev/fence': '5',
    });
    const others = [kinds.deployment, kinds.service, kinds.ingress, kinds.networkPolicy, kinds.volumeClaim];
    for (const kind of others) {
      const text = JSON.stringify(await read(kind, `odoo-${instance.id}`));
      for (const secret of Object.values(wanted.credentials)) expect(text).not.toContain(secret);
    }
  });

  it('follow the row: a larger plan changes them, a cron Deployment comes and goes', async () => {
    const instance = exampleInstance();
    const wanted = exampleRuntime();
    await applyAll(instance, wanted);
    const grown = { ...instance, plan: { ...instance.plan, replicas: 2, workers: 2, memoryMib: 4096 } };
    expect(await adapter.cluster.look(grown, 'deployment', wanted)).toBe('missing');
    await applyAll(grown, wanted);
    expect(await read(kinds.deployment, `odoo-${instance.id}-cron`)).toBeDefined();
    expect((await read(kinds.deployment, `odoo-${instance.id}`))?.spec?.['replicas']).toBe(2);
    expect(await adapter.cluster.look(instance, 'deployment', wanted)).toBe('missing');
    await applyAll(instance, wanted);
    expect(await read(kinds.deployment, `odoo-${instance.id}-cron`)).toBeUndefined();
    expect(await adapter.cluster.look(instance, 'deployment', wanted)).toBe('done');
  });

  it('go when they are removed, and removing them again is harmless', async () => {
    const instance = exampleInstance();
    const wanted = exampleRuntime();
    await applyAll(instance, wanted);
    const fenced = { instanceId: instance.id, fence: wanted.fence };
    for (const part of [...clusterParts, ...clusterParts].reverse())
      await adapter.cluster.remove(instance, part, fenced);
    expect(new Set(await looks(instance, wanted))).toEqual(new Set(['missing']));
  });

  it('are left alone when somebody else has the name', async () => {
    const instance = exampleInstance();
    const name = `odoo-${instance.id}`;
    const foreign = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, labels: { app: 'mine' } },
      spec: { ports: [{ port: 1 }] },
    };
    await write('POST', kinds.service, name, foreign);
    const refused = { code: 'foreign-object' };
    await expect(adapter.cluster.look(instance, 'service', exampleRuntime())).rejects.toMatchObject(refused);
    await expect(adapter.cluster.apply(instance, 'service', exampleRuntime())).rejects.toMatchObject(refused);
    await expect(
      adapter.cluster.remove(instance, 'service', { instanceId: instance.id, fence: 9 }),
    ).rejects.toMatchObject(refused);
    expect((await read(kinds.service, name))?.metadata?.labels).toEqual({ app: 'mine' });
  });

  it('are left alone when they carry our label and another instance’s id', async () => {
    const instance = exampleInstance();
    const labels = { 'app.kubernetes.io/managed-by': 'odoo-fleet', 'odoofleet.dev/instance': 'another22222' };
    const name = `odoo-${instance.id}`;
    await write('POST', kinds.service, name, { metadata: { name, labels }, spec: { ports: [{ port: 1 }] } });
    await expect(adapter.cluster.apply(instance, 'service', exampleRuntime())).rejects.toMatchObject({
      code: 'foreign-object',
    });
  });
});

describe('two holders of one instance', () => {
  it('the older one neither changes nor deletes what the newer one wrote', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 7 }));
    const changed = { ...instance, plan: { ...instance.plan, memoryMib: 4096 } };
    const fenced = { code: 'fenced' };
    await expect(adapter.cluster.apply(changed, 'deployment', exampleRuntime({ fence: 6 }))).rejects.toMatchObject(
      fenced,
    );
    await expect(
      adapter.cluster.remove(instance, 'deployment', { instanceId: instance.id, fence: 6 }),
    ).rejects.toMatchObject(fenced);
    expect(await adapter.cluster.look(instance, 'deployment', exampleRuntime({ fence: 7 }))).toBe('done');
  });

  it('the older one, stopped between its look and its write, is refused by the server', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 6 }));
    const older = { ...instance, plan: { ...instance.plan, memoryMib: 4096 } };
    const newer = { ...instance, plan: { ...instance.plan, memoryMib: 8192 } };
    const second = open();
    let newerWrote: Promise<void> | undefined;
    once('PATCH', '/deployments/', () => {
      newerWrote = second.cluster.apply(newer, 'deployment', exampleRuntime({ fence: 7 }));
      return { delayMs: 300 };
    });
    await expect(adapter.cluster.apply(older, 'deployment', exampleRuntime({ fence: 6 }))).rejects.toMatchObject({
      code: 'fenced',
    });
    await newerWrote;
    expect(await second.cluster.look(newer, 'deployment', exampleRuntime({ fence: 7 }))).toBe('done');
    await second.close();
  });

  it('both creating at once leave one object that is as wanted', async () => {
    const instance = exampleInstance();
    const all = Array.from({ length: 5 }, () => adapter.cluster.apply(instance, 'service', exampleRuntime()));
    await Promise.all(all);
    expect(await adapter.cluster.look(instance, 'service', exampleRuntime())).toBe('done');
  });

  it('a change by somebody else between look and write is a conflict', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'service', exampleRuntime());
    const name = `odoo-${instance.id}`;
    const grown = { ...instance, host: 'other.example.com' };
    await adapter.cluster.apply(instance, 'ingress', exampleRuntime());
    let touched: Promise<void> | undefined;
    once('PATCH', 'fieldManager=odoo-fleet', () => {
      touched = write('PATCH', kinds.ingress, name, { metadata: { annotations: { note: 'by hand' } } });
      return { delayMs: 300 };
    });
    const code = await adapter.cluster.apply(grown, 'ingress', exampleRuntime()).catch((error: Failure) => error.code);
    await touched;
    expect(code).toBe('conflict');
    await adapter.cluster.apply(grown, 'ingress', exampleRuntime());
    const annotations = (await read(kinds.ingress, name))?.metadata?.annotations;
    expect(annotations).toMatchObject({ note: 'by hand', 'odoofleet.dev/fence': '5' });
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
});

describe('connections', () => {
  it('are kept: a hundred calls one after the other need one or two', async () => {
    const fresh = open();
    for (let count = 0; count < 100; count += 1) await fresh.credentials.read(exampleInstance());
    expect(fresh.stats()).toMatchObject({ calls: 100, retries: 0 });
    expect(fresh.stats().connections).toBeLessThanOrEqual(2);
    await fresh.close();
  });
});

describe('credentials', () => {
  const fenced = (instance: Instance, fence = 5) => ({ instanceId: instance.id, fence });

  it('are created once; whoever comes later gets the first values', async () => {
    const instance = exampleInstance();
    const { credentials } = exampleRuntime();
    expect(await adapter.credentials.read(instance)).toBeUndefined();
    expect(await adapter.credentials.create(instance, credentials, fenced(instance))).toEqual(credentials);
    const other = { databasePassword: 'x', adminPassword: 'y', masterPassword: 'z' };
    expect(await adapter.credentials.create(instance, other, fenced(instance, 9))).toEqual(credentials);
    expect(await adapter.credentials.read(instance)).toEqual(credentials);
  });

  it('are the first values also when the answer to their creation is lost', async () => {
    const instance = exampleInstance();
    once('POST', '/secrets', { dropAnswer: true });
    const { credentials } = exampleRuntime();
    expect(await adapter.credentials.create(instance, credentials, fenced(instance))).toEqual(credentials);
  });

  it('of somebody else are not taken', async () => {
    const instance = exampleInstance();
    const name = `odoo-${instance.id}-credentials`;
    await write('POST', kinds.secret, name, { metadata: { name }, data: {} });
    await expect(adapter.credentials.read(instance)).rejects.toMatchObject({ code: 'foreign-object' });
    const create = adapter.credentials.create(instance, exampleRuntime().credentials, fenced(instance));
    await expect(create).rejects.toMatchObject({ code: 'foreign-object' });
  });

  it('are removed by nobody older than who made them', async () => {
    const instance = exampleInstance();
    await adapter.credentials.create(instance, exampleRuntime().credentials, fenced(instance));
    await expect(adapter.credentials.remove(instance, fenced(instance, 4))).rejects.toMatchObject({ code: 'fenced' });
    await adapter.credentials.remove(instance, fenced(instance));
    expect(await adapter.credentials.read(instance)).toBeUndefined();
  });
});

describe('Jobs', () => {
  const jobOf = (instance: Instance) => ({
    name: `odoo-${instance.id}-init-abc-1`,
    owner: instance.id,
    operationId: '0199a000-0000-7000-8000-000000000001',
    image: 'odoo:19',
    command: ['odoo', '--init=base', '--stop-after-init'],
    odooConf: '[options]\ndb_password = job-secret\n',
    memoryMib: 512,
    deadlineSeconds: 600,
  });

  it('start once, with their configuration in a Secret of their own', async () => {
    const job = jobOf(exampleInstance());
    expect(await adapter.jobs.look(job.name)).toEqual({ state: 'absent' });
    await adapter.jobs.start(job);
    await adapter.jobs.start(job);
    expect(await adapter.jobs.look(job.name)).toEqual({ state: 'running' });
    expect(JSON.stringify(await read(kinds.job, job.name))).not.toContain('job-secret');
    expect(await read(kinds.secret, job.name)).toBeDefined();
  });

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
    expect(await adapter.jobs.look(failed.name)).toEqual({ state: 'failed', reason: 'DeadlineExceeded: too long' });
    expect(await adapter.jobs.look(good.name)).toEqual({ state: 'succeeded' });
  });

  it('take their Secret along when they are removed', async () => {
    const job = jobOf(exampleInstance());
    await adapter.jobs.start(job);
    await adapter.jobs.remove(job.name);
    await adapter.jobs.remove(job.name);
    expect(await adapter.jobs.look(job.name)).toEqual({ state: 'absent' });
    await expect.poll(() => read(kinds.secret, job.name), { timeout: 10_000 }).toBeUndefined();
  });

  it('of somebody else are neither looked at nor removed', async () => {
    const job = jobOf(exampleInstance());
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } };
    await write('POST', kinds.job, job.name, { metadata: { name: job.name }, spec: { template } });
    const refused = { code: 'foreign-object' };
    await expect(adapter.jobs.look(job.name)).rejects.toMatchObject(refused);
    await expect(adapter.jobs.start(job)).rejects.toMatchObject(refused);
    await expect(adapter.jobs.remove(job.name)).rejects.toMatchObject(refused);
  });

  async function finish(name: string, conditions: object[]) {
    const startTime = '2026-01-01T00:00:00Z';
    const isDone = conditions.some((condition) => 'type' in condition && condition.type === 'Complete');
    const status = { conditions, startTime, ...(isDone ? { completionTime: startTime, succeeded: 1 } : {}) };
    const resource = { groupVersion: 'apis/batch/v1', plural: 'jobs' };
    await sandbox.patch(resource, { namespace, name }, { status }, { subresource: 'status' });
  }
});
