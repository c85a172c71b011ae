import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Image } from '../image.ts';
import { type KubernetesObject, openKubernetesClient, type Resource } from '../kubernetes-client.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** What the manifests call the page's image. */
export const suspensionPageReference = 'odoo-fleet/suspension-page';

/** That image as the cluster's node runs it. Functions have a host of their own, so there is no other. */
export function suspensionPageImage(): Image {
  return {
    kind: 'host',
    entrypoint: [process.execPath, join(root, 'functions/suspension-page/main.ts')],
    env: { NODE_ENV: 'production' },
  };
}

type Manifest = KubernetesObject & { spec: object };

const deployments: Resource<Manifest> = { groupVersion: 'apis/apps/v1', plural: 'deployments' };
const services: Resource<Manifest> = { groupVersion: 'api/v1', plural: 'services' };

/**
 * Applies the page's Deployment and Service as they are in the manifests, with one pod: this machine is the only one there is. Does
 * not wait for the pod; whoever is suspended before it is up gets the ingress's own 503. NetworkPolicies are enforced by nobody
 * here, and PodDisruptionBudgets are not known.
 */
export async function applySuspensionPage(options: { kubeconfigFile: string; manifestsFolder: string }): Promise<void> {
  const client = await openKubernetesClient(options.kubeconfigFile);
  const read = async (file: string) =>
    parse(await readFile(join(options.manifestsFolder, 'suspension-page', file), 'utf8')) as Manifest;
  const apply = async (resource: Resource<Manifest>, object: Manifest) => {
    const { name, namespace = '' } = object.metadata;
    const how = { contentType: 'application/apply-patch+yaml', fieldManager: 'sandbox' };
    await client.patch(resource, { namespace, name }, object, how);
  };
  try {
    const deployment = await read('deployment.yaml');
    await apply(deployments, { ...deployment, spec: { ...deployment.spec, replicas: 1 } });
    await apply(services, await read('service.yaml'));
  } finally {
    await client.close();
  }
}
