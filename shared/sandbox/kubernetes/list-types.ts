import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';

/** How server-side apply merges a list: as one value, by key fields, or as a set of scalars. */
export type ListType = { type: 'atomic' } | { type: 'set' } | { type: 'map'; keys: readonly string[] };

const byName: ListType = { type: 'map', keys: ['name'] };
const byType: ListType = { type: 'map', keys: ['type'] };
const atomic: ListType = { type: 'atomic' };

/** Lists of a pod's spec, from the Kubernetes OpenAPI document (`x-kubernetes-list-type`, `x-kubernetes-list-map-keys`). */
const podSpecLists: Record<string, ListType> = {
  containers: byName,
  initContainers: byName,
  ephemeralContainers: byName,
  volumes: byName,
  imagePullSecrets: byName,
  resourceClaims: byName,
  schedulingGates: byName,
  hostAliases: { type: 'map', keys: ['ip'] },
  topologySpreadConstraints: { type: 'map', keys: ['topologyKey', 'whenUnsatisfiable'] },
};

const containerLists: Record<string, ListType> = {
  ports: { type: 'map', keys: ['containerPort', 'protocol'] },
  env: byName,
  volumeMounts: { type: 'map', keys: ['mountPath'] },
  volumeDevices: { type: 'map', keys: ['devicePath'] },
};

const metadataLists: Record<string, ListType> = {
  ownerReferences: { type: 'map', keys: ['uid'] },
  finalizers: { type: 'set' },
};

const ownLists: Record<string, Record<string, ListType>> = {
  Service: { 'spec.ports': { type: 'map', keys: ['port', 'protocol'] }, 'status.conditions': byType },
  Deployment: { 'status.conditions': byType },
  Pod: { 'status.conditions': byType, 'status.podIPs': { type: 'map', keys: ['ip'] } },
  PersistentVolumeClaim: { 'status.conditions': byType },
  Namespace: { 'status.conditions': byType },
  ServiceAccount: { secrets: byName },
};

const podSpecPath: Record<string, string> = {
  Pod: 'spec.',
  Deployment: 'spec.template.spec.',
  Job: 'spec.template.spec.',
};

/** Objects that are replaced as a whole (`x-kubernetes-map-type: atomic`), by the name of their field. */
const atomicObjects = new Set([
  'selector',
  'nodeSelector',
  'podSelector',
  'namespaceSelector',
  'labelSelector',
  'secretKeyRef',
  'configMapKeyRef',
  'fieldRef',
  'resourceFieldRef',
  'nodeSelectorTerms',
]);
const atomicItems = new Set(['metadata.ownerReferences', 'imagePullSecrets']);

/** The list at `path` (field names and `[]` joined by dots) of this kind. */
export function listTypeAt(kind: string, path: string): ListType {
  const prefix = podSpecPath[kind];
  const rules = ownLists[kind]?.[path];
  if (rules) return rules;
  if (path.startsWith('metadata.')) return metadataLists[path.slice('metadata.'.length)] ?? atomic;
  if (kind !== 'Pod' && path.startsWith('spec.template.metadata.')) {
    return metadataLists[path.slice('spec.template.metadata.'.length)] ?? atomic;
  }
  if (prefix === undefined || !path.startsWith(prefix)) return atomic;
  const inside = path.slice(prefix.length);
  const container = /^(?:containers|initContainers|ephemeralContainers)\.\[\]\.(.+)$/.exec(inside);
  return (container ? containerLists[container[1] ?? ''] : podSpecLists[inside]) ?? atomic;
}

/** Is the object at `path` replaced as a whole? */
export function isAtomicObject(path: string): boolean {
  const fields = path.split('.');
  const last = fields.at(-1) ?? '';
  if (last === '[]') return atomicItems.has(fields.slice(0, -1).join('.')) || atomicItems.has(fields.at(-2) ?? '');
  return atomicObjects.has(last);
}

/** `k:{"name":"web"}` or `v:"x"`: how managed fields name an item of a list. */
export function itemElement(item: Json, list: ListType): string {
  if (list.type !== 'map' || !isObject(item)) return `v:${JSON.stringify(item)}`;
  const key: JsonObject = {};
  for (const field of [...list.keys].sort()) {
    const value = item[field] ?? (field === 'protocol' ? 'TCP' : undefined);
    if (value !== undefined) key[field] = value;
  }
  return `k:${JSON.stringify(key)}`;
}
