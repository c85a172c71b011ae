import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { goSourceFolder } from '#shared/sandbox/go/go-programs.ts';
import { programImage } from './base-images.ts';
import { type ClusterBinaries, eventingPrograms, moduleFolder, servingPrograms } from './binaries.ts';

/** Where Knative's own manifests lie: in the Go modules its programs are built from. */
export type KnativeSources = {
  serving: string;
  networking: string;
  caching: string;
  eventing: string;
  inMemoryChannel: string;
  broker: string;
  integrations: string;
};

export async function findKnativeSources(): Promise<KnativeSources> {
  const config = async (module: 'serving' | 'eventing', name: string) =>
    join(await goSourceFolder(moduleFolder(module), `knative.dev/${name}`), 'config');
  const eventing = await config('eventing', 'eventing');
  return {
    serving: await config('serving', 'serving'),
    networking: await config('serving', 'networking'),
    caching: await config('serving', 'caching'),
    eventing,
    inMemoryChannel: join(eventing, 'channels', 'in-memory-channel'),
    broker: join(eventing, 'brokers', 'mt-channel-broker'),
    integrations: join(eventing, '..', 'third_party', 'eventing-integrations-latest'),
  };
}

export type KubernetesObject = {
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
};

/**
 * The objects of files and of whole folders, changed only where they must be:
 * `ko://` names become images of this node; CPU requests shrink, as the originals ask for more than a small node has;
 * controllers are asked after one second whether they are ready, not after twenty.
 */
export async function readKnative(paths: readonly string[], programs: ClusterBinaries): Promise<KubernetesObject[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const imageOf = imageNames(programs);
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document): unknown => document.toJS()))
    .filter((value) => typeof value === 'object' && value !== null)
    .map((value) => adapt(value, imageOf) as KubernetesObject);
}

/** A file, or the YAML files of a folder. */
async function filesOf(path: string): Promise<string[]> {
  if (/\.ya?ml$/.test(path)) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

/** Of the import path in a `ko://` name. A program that is not built here keeps its name; nothing starts it. */
function imageNames({ serving, eventing }: ClusterBinaries): (text: string) => string {
  const images = new Map<string, string>([
    ...servingPrograms.map((name) => [`serving/${name}`, programImage(`serving-${name}`, serving)] as const),
    ...eventingPrograms.map((name) => [`eventing/${name}`, programImage(`eventing-${name}`, eventing)] as const),
  ]);
  return (text) =>
    text.replace(/^ko:\/\/knative\.dev\/(serving|eventing)\/cmd\/(?:\w+\/)*(\w+)$/, (whole, module, name) => {
      return images.get(`${module}/${name}`) ?? whole;
    });
}

function adapt(value: unknown, imageOf: (text: string) => string): unknown {
  if (typeof value === 'string') return imageOf(value);
  if (Array.isArray(value)) return value.map((one) => adapt(one, imageOf));
  if (!isObject(value)) return value;
  const adapted = Object.entries(value).map(([name, field]): [string, unknown] => {
    if (name === 'requests' && isObject(field) && 'cpu' in field) return [name, { ...field, cpu: '10m' }];
    // Ended early on a busy machine, a webhook finds the leases of the one before it for longer than it lives.
    if (name === 'livenessProbe') return [name, field];
    // A schema has a property of that name, too.
    if (name === 'initialDelaySeconds' && typeof field === 'number') return [name, 1];
    return [name, adapt(field, imageOf)];
  });
  return Object.fromEntries(adapted);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same Deployments with one more environment variable in every container. */
export function withVariable(objects: readonly KubernetesObject[], name: string, value: string): KubernetesObject[] {
  return objects.map((object) => {
    if (object.kind !== 'Deployment') return object;
    const copy = structuredClone(object) as KubernetesObject & {
      spec: { template: { spec: { containers: { env?: { name: string; value?: string }[] }[] } } };
    };
    for (const container of copy.spec.template.spec.containers) {
      container.env = [...(container.env ?? []).filter((one) => one.name !== name), { name, value }];
    }
    return copy;
  });
}
