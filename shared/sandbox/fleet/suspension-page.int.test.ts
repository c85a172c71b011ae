import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { expect, it } from 'vitest';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import type { SuspensionReason } from '#shared/domain/instance/instance.ts';
import { startIngressProxy } from '../ingress/ingress.ts';
import { startKubernetesApi } from '../kubernetes/server.ts';
import { startProcessNode } from '../kubernetes-node/process-node.ts';
import { openProcessGroup } from '../processes.ts';
import { applySuspensionPage, suspensionPageImage, suspensionPageReference } from './suspension-page.ts';

const namespace = 'odoo-tenants';
const manifestsFolder = fileURLToPath(new URL('../../../knative/base/', import.meta.url));

it('a suspended instance’s host shows the page of its reason, on every path', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'suspension-page-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const processes = await openProcessGroup();
  stack.defer(() => processes.stopAll());
  const { kubeconfigFile, stop } = await startKubernetesApi({ folder: join(folder, 'api') });
  stack.defer(stop);
  const node = await startProcessNode({
    kubeconfigFile,
    namespace,
    folder: join(folder, 'node'),
    processes,
    images: async (image) => (image === suspensionPageReference ? suspensionPageImage() : undefined),
  });
  stack.defer(() => node.stop());
  const proxy = await startIngressProxy({ kubeconfigFile, namespace });
  stack.defer(() => proxy.stop());

  await applySuspensionPage({ kubeconfigFile, manifestsFolder });
  await applySuspensionPage({ kubeconfigFile, manifestsFolder });
  const tenants = openTenantCluster({ kubeconfigFile, namespace, clientNamespaces: [] });
  stack.defer(() => tenants.close());
  const suspend = async (...suspensions: SuspensionReason[]) => {
    const instance = { ...exampleInstance(), suspensions };
    await tenants.cluster.apply(instance, 'ingress', exampleRuntime());
    return instance.host;
  };
  const ask = async (host: string, path: string) => {
    const { statusCode, body } = await request(`http://127.0.0.1:${proxy.port}${path}`, { headers: { host } });
    return { statusCode, text: await body.text() };
  };

  const billing = await suspend('billing');
  const abuse = await suspend('billing', 'abuse');
  const status = async () => (await ask(billing, '/web')).statusCode;
  await expect.poll(status, { timeout: 20_000 }).toBe(402);
  expect((await ask(billing, '/websocket')).statusCode).toBe(402);
  expect((await ask(billing, '/')).text).toContain('This Odoo is paused');
  expect((await ask(abuse, '/')).statusCode).toBe(403);
});
