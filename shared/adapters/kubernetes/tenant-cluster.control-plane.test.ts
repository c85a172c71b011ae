import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startControlPlane, waitForAccount, whyNoControlPlane } from '#scripts/cluster/control-plane.ts';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { tenantClusterContract } from '#shared/testing/contracts/tenant-cluster.ts';
import { clusterDriftContract } from '#shared/testing/contracts/tenant-cluster-drift.ts';
import { clusterSurveyContract } from '#shared/testing/contracts/tenant-cluster-survey.ts';
import { openKubernetesApi } from './client.ts';
import { kinds, type Stored } from './kinds.ts';
import { openTenantCluster } from './open.ts';
import { exampleInstance, exampleRuntime } from './test-instance.fixture.ts';

const obstacle = await whyNoControlPlane();

const why = obstacle === undefined ? '' : `: cannot be started here, ${obstacle}`;

// Continuous integration must not lose this tier without anybody noticing: there it fails.
describe.skipIf(obstacle !== undefined && !process.env['CI'])(`the real control plane${why}`, () => {
  tenantClusterContract('the real kube-apiserver', openRealCluster);
  clusterDriftContract('the real kube-apiserver', openRealCluster);
  clusterSurveyContract('the real kube-apiserver', openRealCluster);

  it('makes pods of ours under Pod Security’s restricted profile', async () => {
    const { kubeconfigFile, namespace, close } = await openRealCluster();
    const adapter = openTenantCluster({ kubeconfigFile, namespace, clientNamespaces: [] });
    const api = openKubernetesApi({ kubeconfigFile });
    const instance = exampleInstance();
    const large = { ...instance, plan: { ...instance.plan, replicas: 2, workers: 2 } };
    await adapter.cluster.apply(large, 'deployment', exampleRuntime());
    const query = { labelSelector: `odoofleet.dev/instance=${instance.id}` };
    const pods = async () => (await api.list<Stored>(kinds.pod, namespace, query)).length;
    await expect.poll(pods, { timeout: 30_000 }).toBe(3);
    const { available, reason } = await adapter.cluster.availability(large);
    expect(available).toBe(false);
    expect(reason).toMatch(/of 2 pods available|not been looked at/);
    await adapter.close();
    await api.close();
    await close();
  });
});

async function openRealCluster() {
  const folder = await mkdtemp(join(tmpdir(), 'control-plane-'));
  const controlPlane = await startControlPlane({ folder });
  const client = await openClusterClient(controlPlane.kubeconfigFile);
  const namespace = 'odoo-tenants';
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace, labels } } });
  await waitForAccount(client, namespace);
  await client.close();
  return {
    kubeconfigFile: controlPlane.kubeconfigFile,
    namespace,
    async close() {
      await controlPlane.stop();
      await rm(folder, { recursive: true });
    },
  };
}
