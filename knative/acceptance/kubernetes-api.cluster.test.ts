import { describe, inject } from 'vitest';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { kubernetesApiContract } from '#shared/testing/contracts/kubernetes-api.ts';
import { obstacle, titled, until } from './cluster.fixture.ts';

// The suite that the sandbox's small API server is held against, on an API server whose controllers and kubelet all run.

describe.skipIf(obstacle !== undefined)(titled('The cluster'), () => {
  kubernetesApiContract('a whole cluster', openContractNamespace);
});

async function openContractNamespace() {
  const given = inject('cluster');
  if (given.obstacle !== undefined) throw new Error(given.obstacle);
  const { kubeconfig } = given;
  const client = await openClusterClient(kubeconfig);
  const namespace = `contract-${Date.now()}`;
  const path = '/api/v1/namespaces';
  await client.request('POST', path, { body: { metadata: { name: namespace } } });
  // Pods are refused until the controller has made their ServiceAccount.
  const account = `${path}/${namespace}/serviceaccounts/default`;
  await until('its ServiceAccount', async () => (await client.request('GET', account)).status === 200, {
    limitMs: 60_000,
  });
  return {
    kubeconfigFile: kubeconfig,
    namespace,
    async close() {
      await client.request('DELETE', `${path}/${namespace}`);
      await client.close();
    },
  };
}
