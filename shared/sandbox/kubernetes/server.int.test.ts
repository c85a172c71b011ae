import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClusterClient } from './cluster-client.ts';
import { openClusterClient } from './cluster-client.ts';
import type { Fault, KubernetesApi, KubernetesApiOptions } from './server.ts';
import { startKubernetesApi } from './server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const body = (name: string) => ({ metadata: { name }, data: { key: 'value' } });

let folder: string;
const cleanUps: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubernetes-api-'));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  await rm(folder, { recursive: true });
});

async function open(
  options: Partial<KubernetesApiOptions> = {},
): Promise<{ api: KubernetesApi; client: ClusterClient }> {
  const api = await startKubernetesApi({ folder, ...options });
  cleanUps.push(() => api.stop());
  const client = await openClusterClient(api.kubeconfigFile);
  cleanUps.push(() => client.close());
  return { api, client };
}

describe('what is not served', () => {
  it.each([
    ['GET', '/api/v1/nodes'],
    ['GET', '/apis/apps/v1/namespaces/default/replicasets'],
    ['POST', '/apis/coordination.k8s.io/v1/namespaces/default/leases'],
    ['GET', '/api/v1/namespaces/default/pods/x/log'],
    ['GET', '/apis/apps/v1/namespaces/default/deployments/x/scale'],
    ['DELETE', '/api/v1/namespaces/default/configmaps'],
    ['GET', '/api/v1/configmaps?watch=true&sendInitialEvents=true'],
    ['GET', '/api/v1/configmaps?shardSelector=1'],
  ])('is answered with 501 and a Status that says what: %s %s', async (method, path) => {
    const { client } = await open();
    const answer = await client.request(method, path, method === 'POST' ? { body: body('x') } : {});
    expect(answer).toMatchObject({ status: 501, body: { kind: 'Status', reason: 'NotImplemented', code: 501 } });
    expect(answer.body['message']).toContain("not supported by the sandbox's Kubernetes API server: ");
  });

  it('includes the other kinds of patch and of Service', async () => {
    const { client } = await open();
    await client.request('POST', configMaps, { body: body('x') });
    for (const contentType of ['application/json-patch+json', 'application/strategic-merge-patch+json']) {
      expect((await client.request('PATCH', `${configMaps}/x`, { body: {}, contentType })).status).toBe(501);
    }
    const service = { metadata: { name: 's' }, spec: { type: 'NodePort', ports: [{ port: 1 }] } };
    expect((await client.request('POST', '/api/v1/namespaces/default/services', { body: service })).status).toBe(501);
  });
});

describe('a second start', () => {
  it('continues with the same objects, versions, certificates, token and address', async () => {
    const first = await startKubernetesApi({ folder });
    const client = await openClusterClient(first.kubeconfigFile);
    cleanUps.push(() => client.close());
    const created = await client.request('POST', configMaps, { body: body('kept') });
    await client.request('POST', configMaps, { body: body('removed') });
    await client.request('DELETE', `${configMaps}/removed`);
    await first.stop();
    const second = await open();
    expect(second.api.url).toBe(first.url);
    expect((await client.request('GET', `${configMaps}/kept`)).body).toEqual(created.body);
    expect((await client.request('GET', `${configMaps}/removed`)).status).toBe(404);
    const next = await client.request('POST', configMaps, { body: body('next') });
    expect(versionOf(next.body)).toBe(versionOf(created.body) + 3);
  });

  it('lets a watch go on where it was', async () => {
    const first = await startKubernetesApi({ folder });
    const before = await openClusterClient(first.kubeconfigFile);
    const start = versionOf((await before.request('GET', configMaps)).body);
    await before.request('POST', configMaps, { body: body('meanwhile') });
    await before.close();
    await first.stop();
    const { client } = await open();
    const events = await client.watch(
      `${configMaps}?watch=true&resourceVersion=${start}&timeoutSeconds=30`,
      AbortSignal.timeout(30_000),
    );
    const { value } = await events.next();
    await events.return(undefined);
    expect(value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'meanwhile' } } });
  });

  it('drops a line that a crash has cut off, which nobody was told about', async () => {
    const first = await startKubernetesApi({ folder });
    await first.stop();
    await appendFile(join(folder, 'journal.jsonl'), '{"version":99,"resource":"v1/configm');
    const { client } = await open();
    expect((await client.request('POST', configMaps, { body: body('after') })).status).toBe(201);
  });

  it('keeps every write that was acknowledged before a kill -9', async () => {
    const { child, kubeconfigFile } = await startInChild();
    const client = await openClusterClient(kubeconfigFile);
    const acknowledged: string[] = [];
    const writer = async (lane: number) => {
      for (let index = 0; ; index += 1) {
        const name = `w-${lane}-${index}`;
        const { status } = await client.request('POST', configMaps, { body: body(name) });
        if (status === 201) acknowledged.push(name);
        if (acknowledged.length === 150) child.kill('SIGKILL');
      }
    };
    await Promise.allSettled([0, 1, 2, 3].map(writer));
    await client.close();
    const again = await open();
    const { body: list } = await again.client.request('GET', configMaps);
    const names = new Set((list['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name));
    expect(acknowledged.length).toBeGreaterThanOrEqual(150);
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
  });

  it('finishes a collection that a crash interrupted', async () => {
    const first = await startKubernetesApi({ folder });
    const client = await openClusterClient(first.kubeconfigFile);
    cleanUps.push(() => client.close());
    const owner = await client.request('POST', configMaps, { body: body('owner') });
    const uid = (owner.body['metadata'] as { uid: string }).uid;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
    await client.request('POST', configMaps, { body: { metadata: { name: 'dependent', ownerReferences } } });
    await first.stop();
    const version = versionOf(owner.body) + 10;
    await appendFile(
      join(folder, 'journal.jsonl'),
      `${JSON.stringify({ version, resource: 'v1/configmaps', key: 'default/owner' })}\n`,
    );
    await open();
    await expect
      .poll(async () => (await client.request('GET', `${configMaps}/dependent`)).status, { timeout: 15_000 })
      .toBe(404);
  });
});

describe('access', () => {
  it('is by a token that only this user can read', async () => {
    const { api } = await open();
    expect((await stat(api.kubeconfigFile)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'identity', 'token'))).mode & 0o777).toBe(0o600);
    const token = await readFile(join(folder, 'identity', 'token'), 'utf8');
    expect(await readFile(api.kubeconfigFile, 'utf8')).toContain(token);
  });
});

describe('faults', () => {
  const only = (method: string, fault: Fault) => (request: { method: string }) =>
    request.method === method ? fault : undefined;

  it('answer what the test asks for', async () => {
    const { client } = await open({ intercept: only('POST', { status: 429, retryAfterSeconds: 2 }) });
    const answer = await client.request('POST', configMaps, { body: body('x') });
    expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
    expect((await client.request('GET', `${configMaps}/x`)).status).toBe(404);
  });

  it('carry a request out and lose its answer', async () => {
    const { client } = await open({ intercept: only('POST', { dropAnswer: true }) });
    await expect(client.request('POST', configMaps, { body: body('lost') })).rejects.toThrow();
    expect((await client.request('GET', `${configMaps}/lost`)).status).toBe(200);
  });

  it('delay', async () => {
    const { client } = await open({ intercept: only('GET', { delayMs: 300 }) });
    const startedAt = performance.now();
    await client.request('GET', configMaps);
    expect(performance.now() - startedAt).toBeGreaterThan(290);
  });
});

function versionOf(object: Record<string, unknown>): number {
  return Number((object['metadata'] as { resourceVersion: string }).resourceVersion);
}

async function startInChild(): Promise<{ child: ChildProcess; kubeconfigFile: string }> {
  const program = `
    const { startKubernetesApi } = await import(${JSON.stringify(join(import.meta.dirname, 'server.ts'))});
    const api = await startKubernetesApi({ folder: ${JSON.stringify(folder)} });
    process.stdout.write(api.kubeconfigFile + '\\n');
    process.once('disconnect', () => process.exit());
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  cleanUps.push(async () => {
    child.kill('SIGKILL');
  });
  const [line] = (await once(child.stdout as Readable, 'data')) as [Buffer];
  return { child, kubeconfigFile: line.toString().trim() };
}
