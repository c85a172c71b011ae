import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiServerSourceOptions } from './api-server-source.ts';
import { startApiServerSource } from './api-server-source.ts';
import type { ClusterClient } from './cluster-client.ts';
import { openClusterClient } from './cluster-client.ts';
import type { KubernetesApi } from './server.ts';
import { startKubernetesApi } from './server.ts';

type Received = { headers: IncomingHttpHeaders; body: string; at: number };

const deployments = '/apis/apps/v1/namespaces/odoo-tenants/deployments';
const labels = { 'app.kubernetes.io/managed-by': 'odoo-fleet' };

function deployment(name: string, own: Record<string, string> = labels) {
  const template = { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'odoo', image: 'odoo:19' }] } };
  return { metadata: { name, labels: own }, spec: { selector: { matchLabels: { app: name } }, template } };
}

let folder: string;
let api: KubernetesApi;
let client: ClusterClient;
let received: Received[];
let statuses: number[];
let sink: string;
const cleanUps: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'api-server-source-'));
  cleanUps.push(() => rm(folder, { recursive: true }));
  api = await startKubernetesApi({ folder });
  cleanUps.push(() => api.stop());
  client = await openClusterClient(api.kubeconfigFile);
  cleanUps.push(() => client.close());
  received = [];
  statuses = [];
  sink = await openSink();
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Answers with the next of `statuses`, 202 when they are used up. */
async function openSink(): Promise<string> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      received.push({ headers: request.headers, body, at: performance.now() });
      response.writeHead(statuses.shift() ?? 202).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUps.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/fleet/default`;
}

async function startSource(options: Partial<ApiServerSourceOptions> = {}): Promise<void> {
  const source = await startApiServerSource({
    kubeconfigFile: api.kubeconfigFile,
    sink,
    namespace: 'odoo-tenants',
    resources: [
      { apiVersion: 'apps/v1', kind: 'Deployment', labelSelector: 'app.kubernetes.io/managed-by=odoo-fleet' },
    ],
    ...options,
  });
  cleanUps.push(() => source.stop());
}

const types = () => received.map((event) => event.headers['ce-type']);
const until = (count: number) => expect.poll(() => received.length, { timeout: 10_000 }).toBe(count);

describe('the cluster event source', () => {
  it('publishes add, update and delete with the whole object', async () => {
    await startSource();
    await client.request('POST', deployments, { body: deployment('one') });
    await client.request('PATCH', `${deployments}/one`, {
      body: { spec: { replicas: 0 } },
      contentType: 'application/merge-patch+json',
    });
    await client.request('DELETE', `${deployments}/one`);
    await until(3);
    const [add, ...later] = received;
    expect(types()).toEqual(['add', 'update', 'delete'].map((change) => `dev.knative.apiserver.resource.${change}`));
    expect(add?.headers).toMatchObject({
      'ce-specversion': '1.0',
      'ce-source': api.url,
      'ce-subject': '/apis/apps/v1/namespaces/odoo-tenants/deployments/one',
      'ce-kind': 'Deployment',
      'ce-apiversion': 'apps/v1',
      'ce-name': 'one',
      'ce-namespace': 'odoo-tenants',
      'content-type': expect.stringContaining('application/json'),
      'ce-time': expect.any(String),
    });
    expect(JSON.parse(add?.body ?? '')).toMatchObject({
      kind: 'Deployment',
      metadata: { name: 'one', uid: expect.any(String) },
    });
    expect(new Set([add, ...later].map((event) => event?.headers['ce-id'])).size).toBe(3);
  });

  it('sends nothing for what was there before it started, or has other labels', async () => {
    await client.request('POST', deployments, { body: deployment('before') });
    await startSource();
    await client.request('POST', deployments, { body: deployment('foreign', { other: 'yes' }) });
    await client.request('POST', deployments, { body: deployment('after') });
    await until(1);
    expect(received[0]?.headers['ce-name']).toBe('after');
  });

  it('tries again while the sink is out of order, and keeps the order', async () => {
    statuses = [503, 503, 202];
    await startSource();
    await client.request('POST', deployments, { body: deployment('first') });
    await client.request('POST', deployments, { body: deployment('second') });
    await until(4);
    expect(received.map((event) => event.headers['ce-name'])).toEqual(['first', 'first', 'first', 'second']);
    expect(new Set(received.slice(0, 3).map((event) => event.headers['ce-id'])).size).toBe(1);
  });

  it('drops an event after five retries, and one that is refused at once', async () => {
    const dropped: string[] = [];
    statuses = [503, 503, 503, 503, 503, 503, 400];
    await startSource({ onDropped: (event, why) => dropped.push(`${event.subject}: ${why}`) });
    for (const name of ['lost', 'refused', 'taken'])
      await client.request('POST', deployments, { body: deployment(name) });
    await until(8);
    expect(received.map((event) => event.headers['ce-name'])).toEqual([...Array(6).fill('lost'), 'refused', 'taken']);
    const path = '/apis/apps/v1/namespaces/odoo-tenants/deployments';
    expect(dropped).toEqual([`${path}/lost: the sink answered 503`, `${path}/refused: the sink answered 400`]);
    expect((received[5]?.at ?? 0) - (received[0]?.at ?? 0)).toBeGreaterThan(1400);
  });

  it('goes on after the API server was away, from where it was', async () => {
    await startSource();
    await client.request('POST', deployments, { body: deployment('before') });
    await until(1);
    await api.stop();
    api = await startKubernetesApi({ folder });
    await client.request('POST', deployments, { body: deployment('after') });
    await until(2);
    expect(received[1]?.headers['ce-name']).toBe('after');
  });

  it('says which kind the API server does not serve', async () => {
    const resources = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', labelSelector: 'a=b' }];
    await expect(startSource({ resources })).rejects.toThrow('does not serve StatefulSet of apps/v1');
  });
});
