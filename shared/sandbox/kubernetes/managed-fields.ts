import { mergeApplied, removeAbandoned } from './apply-merge.ts';
import type { FieldSet } from './field-set.ts';
import { fieldsOf, fromFieldsV1, joinPath, readablePath, toFieldsV1, valueAt, withAncestors } from './field-set.ts';
import type { Json, JsonObject } from './json.ts';
import { arrayAt, isObject, isSame, objectAt, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { timestamp, withMetadata } from './objects.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';
import { StatusError } from './status.ts';

/** Who writes: the name from `fieldManager`, how, and on which subresource ('' is the object itself). */
export type Writer = { manager: string; operation: 'Apply' | 'Update'; subresource: string };

type Entry = Writer & { fields: FieldSet; time: string };

/** Metadata that the server itself keeps; nobody owns it. */
const unownedMetadata = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
];

function readEntries(object: KubernetesObject): Entry[] {
  return arrayAt(object.metadata, 'managedFields')
    .filter(isObject)
    .map((entry) => ({
      manager: stringAt(entry, 'manager') ?? '',
      operation: stringAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
      subresource: stringAt(entry, 'subresource') ?? '',
      time: stringAt(entry, 'time') ?? '',
      fields: fromFieldsV1(objectAt(entry, 'fieldsV1') ?? {}),
    }));
}

function writeEntries(object: KubernetesObject, entries: Entry[], resource: Resource): KubernetesObject {
  const managedFields: Json[] = entries
    .filter((entry) => entry.fields.size > 0)
    .toSorted((a, b) => Number(a.operation === 'Update') - Number(b.operation === 'Update'))
    .map((entry) => ({
      manager: entry.manager,
      operation: entry.operation,
      apiVersion: apiVersionOf(resource),
      time: entry.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(entry.fields),
      ...(entry.subresource === '' ? {} : { subresource: entry.subresource }),
    }));
  return withMetadata(object, { managedFields: managedFields.length > 0 ? managedFields : null });
}

/** The part of an object that managers own. */
function ownable(object: KubernetesObject): JsonObject {
  const metadata = Object.fromEntries(
    Object.entries(object.metadata).filter(([field]) => !unownedMetadata.includes(field)),
  );
  const { apiVersion: _version, kind: _kind, ...rest } = object;
  return { ...rest, metadata };
}

function ownableFields(resource: Resource, object: KubernetesObject): FieldSet {
  const fields = fieldsOf(resource.kind, ownable(object));
  fields.delete('f:metadata');
  return fields;
}

function isSameWriter(entry: Writer, writer: Writer): boolean {
  return (
    entry.manager === writer.manager && entry.operation === writer.operation && entry.subresource === writer.subresource
  );
}

/** Notes who changed what by a create, an update or a patch other than apply. */
export function trackUpdate(
  resource: Resource,
  previous: KubernetesObject | undefined,
  { next, writer }: { next: KubernetesObject; writer: Writer },
): KubernetesObject {
  const before = previous ? ownable(previous) : {};
  const after = ownable(next);
  const nextFields = ownableFields(resource, next);
  // Each endpoint writes its half only; the other half is not tracked under its name.
  const foreign = writer.subresource === 'status' ? 'f:spec' : resource.hasStatus ? 'f:status' : undefined;
  const isWritten = (path: string) =>
    foreign === undefined || (path !== foreign && !path.startsWith(joinPath(foreign, '')));
  const changed = new Set(
    [...nextFields].filter((path) => isWritten(path) && !isOwnValueSame(resource, before, { after, path })),
  );
  const present = withAncestors(nextFields);
  const entries = previous ? readEntries(previous) : [];
  for (const entry of entries) {
    const isMine = isSameWriter(entry, writer);
    entry.fields = new Set([...entry.fields].filter((path) => present.has(path) && (isMine || !changed.has(path))));
  }
  return writeEntries(next, addTo(entries, writer, changed), resource);
}

function isOwnValueSame(
  resource: Resource,
  before: JsonObject,
  { after, path }: { after: JsonObject; path: string },
): boolean {
  const old = valueAt(resource.kind, before, path);
  if (old === undefined) return false;
  const isItem = /(^|\u0000)k:[^\u0000]*$/.test(path);
  return isItem || isSame(old, valueAt(resource.kind, after, path));
}

function addTo(entries: Entry[], writer: Writer, fields: FieldSet): Entry[] {
  if (fields.size === 0) return entries;
  const mine = entries.find((entry) => isSameWriter(entry, writer));
  if (!mine) return [...entries, { ...writer, fields, time: timestamp() }];
  mine.fields = new Set([...mine.fields, ...fields]);
  mine.time = timestamp();
  return entries;
}

/**
 * Server-side apply: lays `applied` over the live object, takes away what this manager applied before
 * and no longer sends, and notes the ownership.
 * @throws 409 with the conflicting fields, unless forced.
 */
export function applyFields(
  resource: Resource,
  live: KubernetesObject | undefined,
  { applied, writer, isForced }: { applied: KubernetesObject; writer: Writer; isForced: boolean },
): { merged: KubernetesObject; finish(written: KubernetesObject): KubernetesObject } {
  const entries = live ? readEntries(live) : [];
  const mine = entries.find((entry) => isSameWriter(entry, writer));
  const others = entries.filter((entry) => entry !== mine);
  const fields = ownableFields(resource, applied);
  const liveFields = live ? ownable(live) : {};
  const taken = [...fields].filter((path) => !isOwnValueSame(resource, liveFields, { after: ownable(applied), path }));
  if (!isForced) refuseConflicts(resource, others, taken);
  for (const entry of others) entry.fields = new Set([...entry.fields].filter((path) => !taken.includes(path)));

  const merged = mergeApplied(resource.kind, liveFields, ownable(applied));
  const kept = withAncestors(fields);
  for (const entry of others) for (const path of withAncestors(entry.fields)) kept.add(path);
  const wanted = withAncestors(fields);
  const abandoned = new Set([...withAncestors(mine?.fields ?? new Set())].filter((path) => !wanted.has(path)));
  kept.add('');
  const pruned = removeAbandoned(resource.kind, merged, { abandoned, kept });
  const system = Object.fromEntries(
    Object.entries({ ...applied.metadata, ...live?.metadata }).filter(([field]) => unownedMetadata.includes(field)),
  );
  const object: KubernetesObject = {
    ...pruned,
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { ...objectAt(pruned, 'metadata'), ...system },
  };
  const isUnchanged =
    mine !== undefined && mine.fields.size === fields.size && [...mine.fields].every((path) => fields.has(path));
  const time = isUnchanged && mine ? mine.time : timestamp();
  const own: Entry = { ...writer, fields, time };
  const next = mine ? entries.map((entry) => (entry === mine ? own : entry)) : [...others, own];
  return { merged: object, finish: (written) => writeEntries(written, next, resource) };
}

function refuseConflicts(resource: Resource, others: Entry[], taken: string[]): void {
  const found = others.flatMap((entry) =>
    taken.filter((path) => entry.fields.has(path)).map((path) => ({ entry, field: readablePath(path) })),
  );
  if (found.length === 0) return;
  const describe = (entry: Entry) =>
    `conflict with "${entry.manager}"${entry.subresource === '' ? '' : ` with subresource "${entry.subresource}"`} using ${apiVersionOf(resource)}`;
  const list = found.map(({ entry, field }) => `${describe(entry)}: ${field}`).join('\n');
  const count = found.length === 1 ? '1 conflict' : `${found.length} conflicts`;
  throw new StatusError(409, 'Conflict', `Apply failed with ${count}: ${list}`, {
    causes: found.map(({ entry, field }) => ({ reason: 'FieldManagerConflict', message: describe(entry), field })),
  });
}
