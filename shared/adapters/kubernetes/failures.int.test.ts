import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { clusterParts } from '#shared/domain/instance/ports.ts';
import { type Fault, type KubernetesApi, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { openKubernetesApi } from './client.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { listObjects } from './list.ts';
import { openTenantCluster } from './open.ts';
import { exampleInstance, exampleRuntime } from './test-instance.fixture.ts';

const namespace = 'odoo-tenants';
const wanted = exampleRuntime();

let folder: string;
let server: KubernetesApi;
let intercept: ((request: { method: string; path: string }) => Fault | undefined) | undefined;
let adapter: ReturnType<typeof openTenantCluster>;
let raw: ReturnType<typeof openKubernetesApi>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubernetes-failures-'));
  server = await startKubernetesApi({ folder, intercept: (request) => intercept?.(request) });
  adapter = open();
  raw = openKubernetesApi({ kubeconfigFile: server.kubeconfigFile });
});

afterEach(() => {
  intercept = undefined;
});

afterAll(async () => {
  await adapter.close();
  await raw.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

function open(options: { tryTimeoutMs?: number; callTimeoutMs?: number } = {}) {
  return openTenantCluster({ kubeconfigFile: server.kubeconfigFile, namespace, clientNamespaces: [], ...options });
}

/** Faults for the first requests that fit, one each. */
function faults(method: string, part: string, list: readonly Fault[]) {
  const left = [...list];
  intercept = (request) => (request.method === method && request.path.includes(part) ? left.shift() : undefined);
}

function always(method: string, fault: Fault) {
  intercept = (request) => (request.method === method ? fault : undefined);
}

/** With a cron Deployment of its own. */
async function largeInstance(): Promise<Instance> {
  const instance = { ...exampleInstance(), plan: { ...exampleInstance().plan, replicas: 2 } };
  await adapter.cluster.apply(instance, 'deployment', wanted);
  return instance;
}

const stopping = (instance: Instance): Instance => ({ ...instance, desiredState: 'stopped' });

async function edit(kind: Kind, name: string, body: object) {
  const contentType = 'application/merge-patch+json';
  const answer = await raw.send({ method: 'PATCH', kind, namespace, name, contentType, body });
  if ('refusal' in answer) throw new Error(JSON.stringify(answer.refusal));
}

const trouble: [string, Fault][] = [
  ['a 429 with Retry-After', { status: 429, retryAfterSeconds: 0 }],
  ['a 500', { status: 500 }],
  ['a 503', { status: 503 }],
  ['a lost answer', { dropAnswer: true }],
];

describe('taking cron down', () => {
  it.each([...trouble, ['a 409', { status: 409 }] as [string, Fault]])('survives %s', async (_what, fault) => {
    const instance = await largeInstance();
    faults('PATCH', '-cron', [fault]);
    await adapter.cluster.applyScale(stopping(instance), wanted, 'without-cron');
    expect(await adapter.cluster.lookScale(stopping(instance), wanted, 'without-cron')).toBe('done');
  });

  it('is refused at every try: a conflict', async () => {
    const instance = await largeInstance();
    always('PATCH', { status: 409 });
    const scaling = adapter.cluster.applyScale(stopping(instance), wanted, 'without-cron');
    await expect(scaling).rejects.toMatchObject({ code: 'conflict' });
  });

  it('leaves a Deployment that is somebody else’s alone', async () => {
    const instance = await largeInstance();
    const name = `odoo-${instance.id}-cron`;
    await edit(kinds.deployment, name, { metadata: { labels: { 'app.kubernetes.io/managed-by': 'helm' } } });
    const refused = { code: 'foreign-object', message: expect.stringContaining(name) };
    await expect(adapter.cluster.lookScale(instance, wanted, 'without-cron')).rejects.toMatchObject(refused);
    await expect(adapter.cluster.applyScale(instance, wanted, 'without-cron')).rejects.toMatchObject(refused);
  });

  it('has nothing to do where the Deployment is gone', async () => {
    const instance = await largeInstance();
    await adapter.cluster.remove(instance, 'deployment', { instanceId: instance.id, fence: wanted.fence });
    await adapter.cluster.applyScale(stopping(instance), wanted, 'without-cron');
    expect(await adapter.cluster.isGone(instance, 'deployment')).toBe(true);
  });
});

describe('counting pods and looking whether a part is gone', () => {
  it.each(trouble)('survive %s', async (_what, fault) => {
    faults('GET', '/pods', [fault]);
    expect(await adapter.cluster.countPods(exampleInstance())).toBe(0);
    faults('GET', '/deployments', [fault]);
    expect(await adapter.cluster.isGone(exampleInstance(), 'deployment')).toBe(true);
  });

  it('never take trouble for absence', async () => {
    always('GET', { status: 500 });
    const unavailable = { code: 'unavailable' };
    await Promise.all([
      expect(adapter.cluster.countPods(exampleInstance())).rejects.toMatchObject(unavailable),
      expect(adapter.cluster.isGone(exampleInstance(), 'service')).rejects.toMatchObject(unavailable),
      expect(adapter.survey('a')).rejects.toMatchObject(unavailable),
    ]);
    always('GET', { status: 403 });
    const notAllowed = { code: 'not-allowed' };
    await expect(adapter.cluster.countPods(exampleInstance())).rejects.toMatchObject(notAllowed);
    await expect(adapter.survey('a')).rejects.toMatchObject(notAllowed);
  });

  it('end in time when the server hangs', async () => {
    const hasty = open({ tryTimeoutMs: 50, callTimeoutMs: 200 });
    always('GET', { delayMs: 1_000 });
    const timeout = { code: 'timeout' };
    await expect(hasty.cluster.countPods(exampleInstance())).rejects.toMatchObject(timeout);
    await expect(hasty.cluster.isGone(exampleInstance(), 'service')).rejects.toMatchObject(timeout);
    await expect(hasty.survey('a')).rejects.toMatchObject(timeout);
    await hasty.close();
  });

  it('leave out pods that have ended', async () => {
    const instance = exampleInstance();
    const labels = { 'odoofleet.dev/instance': instance.id, 'app.kubernetes.io/component': 'web' };
    const pod = (phase: string) => ({ metadata: { name: phase.toLowerCase(), labels }, status: { phase } });
    const items = ['Running', 'Pending', 'Failed', 'Succeeded'].map(pod);
    faults('GET', '/pods', [{ status: 200, body: { metadata: {}, items } }]);
    expect(await adapter.cluster.countPods(instance)).toBe(2);
  });
});

describe('putting right what was changed by hand', () => {
  const extraContainer = { name: 'extra', image: 'busybox' };
  const withExtra = {
    spec: { template: { spec: { containers: [{ name: 'odoo', image: 'odoo:19' }, extraContainer] } } },
  };

  it.each([...trouble, ['a 409', { status: 409 }] as [string, Fault]])(
    'survives %s at its first and at its second write',
    async (_what, fault) => {
      const instance = exampleInstance();
      await adapter.cluster.apply(instance, 'deployment', wanted);
      for (const before of [[], [{}]]) {
        await edit(kinds.deployment, `odoo-${instance.id}`, withExtra);
        faults('PATCH', '/deployments/', [...before, fault]);
        await adapter.cluster.apply(instance, 'deployment', wanted);
        intercept = undefined;
        expect(await adapter.cluster.look(instance, 'deployment', wanted)).toBe('done');
      }
    },
  );

  it('is not done over a newer operation’s write', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 9 }));
    await edit(kinds.deployment, `odoo-${instance.id}`, { spec: { replicas: 3 } });
    const mending = adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 8 }));
    await expect(mending).rejects.toMatchObject({ code: 'fenced' });
  });

  it('gives up, and says where, when the cluster itself undoes it', async () => {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', wanted);
    await edit(kinds.deployment, `odoo-${instance.id}`, { spec: { replicas: 3 } });
    const body = await raw.read<Stored>(kinds.deployment, namespace, `odoo-${instance.id}`);
    always('PATCH', { status: 200, body });
    await expect(adapter.cluster.apply(instance, 'deployment', wanted)).rejects.toMatchObject({
      code: 'constraint-violated',
      message: expect.stringMatching(/spec\.replicas.*admission webhook/),
    });
  });
});

describe('a list', () => {
  const secret = (name: string) => ({ metadata: { name } });
  const page = (names: string[], token?: string): Fault => ({
    status: 200,
    body: { metadata: token === undefined ? {} : { continue: token }, items: names.map(secret) },
  });
  const expired: Fault = { status: 410, body: { reason: 'Expired', message: 'too old' } };
  const read = async () => {
    const names: string[] = [];
    const options = { namespace, labelSelector: 'a=b', pageSize: 2 };
    for await (const { metadata } of listObjects<Stored>(raw, kinds.secret, options)) names.push(metadata?.name ?? '');
    return names;
  };

  it('that expires between two pages is begun anew, and gives nothing twice', async () => {
    faults('GET', '/secrets', [page(['a', 'b'], 'more'), expired, page(['a', 'c'], 'more'), page(['d'])]);
    expect(await read()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('that expires again and again ends with a word about it', async () => {
    const once = [page(['a'], 'more'), expired];
    faults('GET', '/secrets', [...once, ...once, ...once]);
    await expect(read()).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('smaller part') });
  });

  it('waits as Retry-After says, and goes on with the page it was at', async () => {
    const wait: Fault = { status: 429, retryAfterSeconds: 1 };
    faults('GET', '/secrets', [page(['a'], 'more'), wait, page(['b'])]);
    const begun = performance.now();
    expect(await read()).toEqual(['a', 'b']);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1_000);
  });

  it('in a real history that is too short begins anew', async () => {
    const short = await startKubernetesApi({ folder: join(folder, 'short'), historyLength: 1 });
    const api = openKubernetesApi({ kubeconfigFile: short.kubeconfigFile });
    const make = async (name: string) => {
      const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name, labels: { a: 'b' } } };
      await api.send({ method: 'POST', kind: kinds.secret, namespace, body });
    };
    for (const name of ['a', 'b', 'c', 'd']) await make(name);
    const names: string[] = [];
    const options = { namespace, labelSelector: 'a=b', pageSize: 2 };
    for await (const { metadata } of listObjects<Stored>(api, kinds.secret, options)) {
      names.push(metadata?.name ?? '');
      if (names.length === 2) for (const name of ['e', 'f', 'g']) await make(name);
    }
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    await api.close();
    await short.stop();
  });
});

describe('a survey', () => {
  it.each(trouble)('survives %s of any of its lists', async (_what, fault) => {
    const instance = exampleInstance();
    await adapter.credentials.create(instance, wanted.credentials, { instanceId: instance.id, fence: 1 });
    for (const part of clusterParts) await adapter.cluster.apply(instance, part, wanted);
    for (const plural of [
      'deployments',
      'services',
      'ingresses',
      'secrets',
      'persistentvolumeclaims',
      'networkpolicies',
    ]) {
      faults('GET', `/${plural}?`, [fault]);
      expect((await adapter.survey(instance.id.slice(0, 1))).driftOf(instance)).toEqual([]);
    }
  });
});
