import type { ConfigMap, Container, EnvVar, Pod, Secret } from './objects.ts';

/** Reads the objects that variables are taken from; `undefined` if there is none of that name. */
export type Sources = {
  secret(name: string): Promise<Secret | undefined>;
  configMap(name: string): Promise<ConfigMap | undefined>;
};

/** What downward `fieldRef`s may name. */
export type PodFacts = { pod: Pod; podIP: string };

/** A container's configuration names something that is not there (yet); the kubelet waits for it. */
export class ConfigurationMissing extends Error {}

/** A container's variables in the kubelet's order: `envFrom` first, then `env`, later ones win. */
export async function containerEnvironment(
  container: Container,
  facts: PodFacts,
  sources: Sources,
): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const { prefix = '', secretRef, configMapRef } of container.envFrom ?? []) {
    const found = secretRef
      ? decoded((await sources.secret(secretRef.name))?.data)
      : (await sources.configMap(configMapRef?.name ?? ''))?.data;
    const reference = secretRef ?? configMapRef;
    if (found === undefined && reference?.optional !== true) {
      throw missing(secretRef ? 'secret' : 'configmap', reference?.name ?? '');
    }
    for (const [key, value] of Object.entries(found ?? {})) values[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const value = await valueOf(variable, facts, { sources, earlier: values });
    if (value !== undefined) values[variable.name] = value;
  }
  return values;
}

async function valueOf(
  { value, valueFrom }: EnvVar,
  facts: PodFacts,
  { sources, earlier }: { sources: Sources; earlier: Record<string, string> },
): Promise<string | undefined> {
  if (valueFrom === undefined) return expand(value ?? '', earlier);
  if (valueFrom.fieldRef !== undefined) return field(valueFrom.fieldRef.fieldPath, facts);
  const reference = valueFrom.secretKeyRef ?? valueFrom.configMapKeyRef;
  if (reference === undefined) throw new ConfigurationMissing('this source of a variable is not supported here');
  const isSecret = valueFrom.secretKeyRef !== undefined;
  const object = isSecret ? await sources.secret(reference.name) : await sources.configMap(reference.name);
  const stored = object?.data?.[reference.key];
  if (stored !== undefined) return isSecret ? Buffer.from(stored, 'base64').toString() : stored;
  if (reference.optional === true) return undefined;
  const kind = isSecret ? 'secret' : 'configmap';
  if (object === undefined) throw missing(kind, reference.name);
  throw new ConfigurationMissing(`couldn't find key ${reference.key} in ${kind} ${reference.name}`);
}

function decoded(data: Record<string, string> | undefined): Record<string, string> | undefined {
  if (data === undefined) return undefined;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

function missing(kind: string, name: string): ConfigurationMissing {
  return new ConfigurationMissing(`${kind} "${name}" not found`);
}

function field(path: string, { pod, podIP }: PodFacts): string {
  const { name, namespace = '', uid = '', labels, annotations } = pod.metadata;
  const bracket = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (bracket !== null) return (bracket[1] === 'labels' ? labels : annotations)?.[bracket[2] ?? ''] ?? '';
  const fields: Record<string, string> = {
    'metadata.name': name,
    'metadata.namespace': namespace,
    'metadata.uid': uid,
    'status.podIP': podIP,
    'status.hostIP': '127.0.0.1',
    'spec.nodeName': pod.spec.nodeName ?? '',
  };
  const value = fields[path];
  if (value === undefined) throw new ConfigurationMissing(`field ${path} is not supported here`);
  return value;
}

/**
 * Kubernetes' `$(NAME)`: replaced if NAME is known, left as it is if not; `$$` stands for one `$`.
 * https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\$|\(([^()]*)\))/g, (found, name?: string) => {
    if (name === undefined) return '$';
    return Object.hasOwn(values, name) ? (values[name] ?? '') : found;
  });
}
