import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubernetesApiContract } from '#shared/testing/contracts/kubernetes-api.ts';
import { startKubernetesApi } from './server.ts';

kubernetesApiContract("the sandbox's server", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kubernetes-api-'));
  const api = await startKubernetesApi({ folder, historyLength: 40 });
  return {
    kubeconfigFile: api.kubeconfigFile,
    namespace: 'odoo-tenants',
    async close() {
      await api.stop();
      await rm(folder, { recursive: true });
    },
  };
});
