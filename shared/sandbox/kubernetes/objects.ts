import type { Json, JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';
import type { Resource } from './resources.ts';

/** An object as the API shows it. Stored objects are never changed in place: a write makes a new one. */
export type KubernetesObject = JsonObject & { metadata: JsonObject };

export type OwnerReference = { uid: string; name: string; kind: string; blocksOwnerDeletion: boolean };

export function nameOf(object: KubernetesObject): string {
  return stringAt(object.metadata, 'name') ?? '';
}

export function namespaceOf(object: KubernetesObject): string {
  return stringAt(object.metadata, 'namespace') ?? '';
}

export function uidOf(object: KubernetesObject): string {
  return stringAt(object.metadata, 'uid') ?? '';
}

export function resourceVersionOf(object: KubernetesObject): string {
  return stringAt(object.metadata, 'resourceVersion') ?? '';
}

export function labelsOf(object: KubernetesObject): JsonObject {
  return objectAt(object.metadata, 'labels') ?? {};
}

export function finalizersOf(object: KubernetesObject): string[] {
  return arrayAt(object.metadata, 'finalizers').filter((item): item is string => typeof item === 'string');
}

export function isDeleting(object: KubernetesObject): boolean {
  return stringAt(object.metadata, 'deletionTimestamp') !== undefined;
}

export function ownersOf(object: KubernetesObject): OwnerReference[] {
  return arrayAt(object.metadata, 'ownerReferences')
    .filter(isObject)
    .map((owner) => ({
      uid: stringAt(owner, 'uid') ?? '',
      name: stringAt(owner, 'name') ?? '',
      kind: stringAt(owner, 'kind') ?? '',
      blocksOwnerDeletion: owner['blockOwnerDeletion'] === true,
    }));
}

/** A copy whose metadata has these fields; null takes a field away. */
export function withMetadata(object: KubernetesObject, fields: JsonObject): KubernetesObject {
  const metadata: JsonObject = { ...object.metadata };
  for (const [field, value] of Object.entries(fields)) {
    if (value === null) delete metadata[field];
    else metadata[field] = value;
  }
  return { ...object, metadata };
}

/** The key that lists are ordered by, as in etcd. */
export function keyOf(resource: Resource, namespace: string, name: string): string {
  return resource.isNamespaced ? `${namespace}/${name}` : name;
}

/** The time now as Kubernetes writes it: UTC, whole seconds. */
export function timestamp(at: number = Date.now()): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function asObject(value: Json): KubernetesObject | undefined {
  if (!isObject(value)) return undefined;
  const metadata = value['metadata'];
  if (metadata === undefined || metadata === null) return { ...value, metadata: {} };
  return isObject(metadata) ? { ...value, metadata } : undefined;
}
