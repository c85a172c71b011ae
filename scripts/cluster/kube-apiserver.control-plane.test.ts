import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { kubernetesApiContract } from '#shared/testing/contracts/kubernetes-api.ts';
import { startControlPlane, waitForAccount, whyNoControlPlane } from './control-plane.ts';

const obstacle = await whyNoControlPlane();

if (obstacle === undefined) {
  kubernetesApiContract('the real kube-apiserver and kube-controller-manager', openRealCluster);
} else {
  describe('the real kube-apiserver', () => {
    // Continuous integration must not lose this tier without anybody noticing.
    it.skipIf(!process.env['CI'])(`cannot be started here: ${obstacle}`, () => {
      expect(obstacle).toBeUndefined();
    });
  });
}

async function openRealCluster() {
  const folder = await mkdtemp(join(tmpdir(), 'control-plane-'));
  const controlPlane = await startControlPlane({ folder });
  const client = await openClusterClient(controlPlane.kubeconfigFile);
  const namespace = 'contract';
  await client.request('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
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
