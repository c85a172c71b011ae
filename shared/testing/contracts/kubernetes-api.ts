import { afterAll, beforeAll, describe } from 'vitest';
import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { applyContract } from './kubernetes-api/apply.ts';
import type { Cluster } from './kubernetes-api/cluster.ts';
import { openCluster } from './kubernetes-api/cluster.ts';
import { createContract } from './kubernetes-api/create.ts';
import { defaultsContract } from './kubernetes-api/defaults.ts';
import { deletionContract } from './kubernetes-api/deletion.ts';
import { listContract } from './kubernetes-api/lists.ts';
import { updateContract } from './kubernetes-api/update.ts';
import { watchContract } from './kubernetes-api/watch.ts';

/**
 * What this product relies on in a Kubernetes API server, over plain HTTP. Held against the sandbox's server and
 * against the real kube-apiserver with its controller manager; where they differ, the sandbox is wrong.
 * `open` gives a namespace of its own.
 */
export function kubernetesApiContract(
  name: string,
  open: () => Promise<{ kubeconfigFile: string; namespace: string; close(): Promise<void> }>,
): void {
  describe(`Kubernetes API of ${name}`, () => {
    let cluster: Cluster | undefined;
    let close: (() => Promise<void>) | undefined;

    beforeAll(async () => {
      const opened = await open();
      const client = await openClusterClient(opened.kubeconfigFile);
      cluster = openCluster(client, opened);
      close = async () => {
        await client.close();
        await opened.close();
      };
    });
    afterAll(() => close?.());

    const current = (): Cluster => {
      if (!cluster) throw new Error('the cluster is not open');
      return cluster;
    };
    createContract(current);
    updateContract(current);
    applyContract(current);
    defaultsContract(current);
    listContract(current);
    watchContract(current);
    deletionContract(current);
  });
}
