import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Kubectl } from '../kubectl.ts';

const manifestsFolder = join(import.meta.dirname, '..', '..', '..', 'knative');

export type Manifest = { kind: string; metadata: { name: string; namespace?: string }; [field: string]: unknown };

/**
 * The overlay `dev` as `kubectl kustomize` builds it, with images of this node in place of `odoo-fleet/<function>`, and with
 * `settings` over those of ConfigMaps, by their names.
 */
export async function devManifests(
  kubectl: Pick<Kubectl, 'run'>,
  options: { imageOf: (name: string) => string; settings?: Readonly<Record<string, Readonly<Record<string, string>>>> },
): Promise<Manifest[]> {
  const { imageOf, settings = {} } = options;
  return (await overlay(kubectl, ['dev'], { imageOf })).map((one) => {
    const own = one.kind === 'ConfigMap' ? settings[one.metadata.name] : undefined;
    return own === undefined ? one : { ...one, data: { ...(one['data'] as Record<string, string>), ...own } };
  });
}

/** The overlay `dev/migration`, with an image of this node and the PostgreSQL server it goes straight to. */
export async function migrationManifests(
  kubectl: Pick<Kubectl, 'run'>,
  options: { image: string; host: string },
): Promise<Manifest[]> {
  const { image, host } = options;
  const manifests = await overlay(kubectl, ['dev', 'migration'], { imageOf: () => image });
  return manifests.map((one) => {
    const data = one.kind === 'ConfigMap' ? (one['data'] as Record<string, string>) : undefined;
    return data === undefined ? one : { ...one, data: { ...data, PLATFORM_POSTGRES_DIRECT_HOST: host } };
  });
}

async function overlay(
  kubectl: Pick<Kubectl, 'run'>,
  path: readonly string[],
  options: { imageOf: (name: string) => string },
): Promise<Manifest[]> {
  const text = await kubectl.run(['kustomize', join(manifestsFolder, 'overlays', ...path)]);
  const objects = parseAllDocuments(text).map((document): unknown => document.toJS());
  return objects.map((object) => withImages(object, options.imageOf) as Manifest);
}

function withImages(value: unknown, imageOf: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((one) => withImages(one, imageOf));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, field]): [string, unknown] => {
      const name =
        key === 'image' && typeof field === 'string' ? /^odoo-fleet\/([a-z-]+)$/.exec(field)?.[1] : undefined;
      return [key, name === undefined ? withImages(field, imageOf) : imageOf(name)];
    }),
  );
}

/** A Service of the functions' namespace that leads to a port of the machine, under the name the overlay looks for. */
export function machineService(
  name: string,
  place: { namespace: string; address: string; port: number; targetPort: number },
): object[] {
  const { namespace, address, port, targetPort } = place;
  const labels = { 'kubernetes.io/service-name': name };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { ports: [{ name: 'tcp', port, targetPort }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, namespace, labels },
      addressType: 'IPv4',
      ports: [{ name: 'tcp', port: targetPort, protocol: 'TCP' }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
  ];
}

export function secret(name: string, namespace: string, stringData: Record<string, string>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: 'Opaque', stringData };
}
