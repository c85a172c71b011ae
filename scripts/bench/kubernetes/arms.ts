import { AppsV1Api, KubeConfig } from '@kubernetes/client-node';
import { Pool } from 'undici';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { readKubeconfig } from '#shared/sandbox/kubernetes/kubeconfig.ts';

/** One way of reading from an API server. */
export type Arm = { read(): Promise<unknown>; list(): Promise<unknown>; close(): Promise<void> };

export const namespace = 'odoo-tenants';
const name = 'odoo-bench';

/** What the product uses. */
export function openOurs(kubeconfigFile: string): Arm {
  const api = openKubernetesApi({ kubeconfigFile });
  return {
    read: () => api.read(kinds.deployment, namespace, name),
    list: () => api.list(kinds.deployment, namespace, {}),
    close: () => api.close(),
  };
}

/** The floor: the same connections, the same bytes parsed, and nothing else. */
export async function openRaw(kubeconfigFile: string): Promise<Arm> {
  const { url, ca = '', token = '' } = await readKubeconfig(kubeconfigFile);
  const pool = new Pool(url, { connections: 8, pipelining: 1, connect: { ca }, keepAliveTimeout: 60_000 });
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
  const get = async (path: string): Promise<unknown> => {
    const { body } = await pool.request({ method: 'GET', path, headers });
    return JSON.parse(await body.text());
  };
  const collection = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  return { read: () => get(`${collection}/${name}`), list: () => get(collection), close: () => pool.close() };
}

/** `@kubernetes/client-node` as it comes. */
export function openClientNode(kubeconfigFile: string): Arm {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigFile);
  const apps = config.makeApiClient(AppsV1Api);
  return {
    read: () => apps.readNamespacedDeployment({ name, namespace }),
    list: () => apps.listNamespacedDeployment({ namespace }),
    close: async () => undefined,
  };
}
