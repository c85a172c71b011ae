import { randomUUID } from 'node:crypto';
import { withDefaults } from './defaults.ts';
import { finishDeletion } from './deletion.ts';
import type { JsonObject } from './json.ts';
import { arrayAt, isObject, isSame, stringAt, withoutNulls } from './json.ts';
import type { Writer } from './managed-fields.ts';
import { applyFields, trackUpdate } from './managed-fields.ts';
import { mergePatch } from './merge-patch.ts';
import type { KubernetesObject } from './objects.ts';
import {
  asObject,
  isDeleting,
  labelsOf,
  nameOf,
  namespaceOf,
  resourceVersionOf,
  timestamp,
  uidOf,
  withMetadata,
} from './objects.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';
import { freeClusterIp } from './service-addresses.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, modifiedMeanwhile, notFound } from './status.ts';
import type { Store } from './store.ts';
import { problemsOf } from './validation.ts';

/** Where a request points. `subresource` is '' or 'status'. */
export type Target = { resource: Resource; namespace: string; name: string; subresource: string };

export type WriteOptions = { manager: string; isDryRun: boolean };

export type Written = { object: KubernetesObject; isNew: boolean };

/** POST: a new object. */
export function createObject(store: Store, target: Target, { body, options }: Write): Written {
  const object = checkedBody(target, body);
  const given = nameOf(object);
  const prefix = stringAt(object.metadata, 'generateName');
  if (resourceVersionOf(object) !== '') throw badRequest('resourceVersion should not be set on objects to be created');
  const name = given === '' && prefix ? `${prefix.slice(0, 58)}${randomSuffix()}` : given;
  const writer: Writer = { manager: options.manager, operation: 'Update', subresource: '' };
  const named = { ...target, name };
  if (store.get(target.resource, target.namespace, name)) throw alreadyExists(target.resource, name);
  const fresh = newObject(store, named, object);
  return save(store, named, {
    next: trackUpdate(target.resource, undefined, { next: fresh, writer }),
    previous: undefined,
    options,
  });
}

/** PUT: the whole object. */
export function replaceObject(store: Store, target: Target, { body, options }: Write): Written {
  const object = checkedBody(target, body);
  const previous = existing(store, target);
  checkPreconditions(target, previous, object);
  return update(store, target, { previous, wanted: object, options });
}

/** PATCH with a JSON merge patch. */
export function mergePatchObject(store: Store, target: Target, { body, options }: Write): Written {
  const previous = existing(store, target);
  const patched = asObject(mergePatch(previous, body));
  if (!patched) throw badRequest('the patched object is not an object');
  const object = checkedBody(target, patched);
  checkPreconditions(target, previous, object);
  return update(store, target, { previous, wanted: object, options });
}

/** PATCH with an apply configuration. Creates the object when it is not there. */
export function applyObject(
  store: Store,
  target: Target,
  { body, options, isForced }: Write & { isForced: boolean },
): Written {
  const whole = checkedBody(target, withoutNulls(body));
  if (!stringAt(whole, 'apiVersion') || !stringAt(whole, 'kind')) {
    throw badRequest('invalid object type: an apply configuration states its apiVersion and kind');
  }
  if (arrayAt(whole.metadata, 'managedFields').length > 0) throw badRequest('metadata.managedFields must be nil');
  const { resource, subresource } = target;
  const applied = withoutResetFields(target, whole);
  const live = store.get(resource, target.namespace, target.name);
  if (!live && subresource !== '') throw notFound(resource, target.name);
  const writer: Writer = { manager: options.manager, operation: 'Apply', subresource };
  if (!live) {
    if (uidOf(whole) !== '')
      throw conflict(
        resource,
        target.name,
        `uid mismatch: the provided object specified uid ${uidOf(whole)}, and no existing object was found`,
      );
    const { finish } = applyFields(resource, undefined, { applied, writer, isForced });
    return save(store, target, { next: finish(newObject(store, target, applied)), previous: undefined, options });
  }
  const { merged, finish } = applyFields(resource, live, { applied, writer, isForced });
  checkPreconditions(target, live, whole);
  const next = finish(carriedOver(store, target, { previous: live, wanted: merged }));
  return save(store, target, { next, previous: live, options });
}

type Write = { body: JsonObject; options: WriteOptions };

function existing(store: Store, { resource, namespace, name }: Target): KubernetesObject {
  const object = store.get(resource, namespace, name);
  if (!object) throw notFound(resource, name);
  return object;
}

/** The body as an object of the target's kind, name and namespace. */
function checkedBody(target: Target, body: JsonObject): KubernetesObject {
  const { resource, namespace, name } = target;
  const object = asObject(body);
  if (!object) throw badRequest('metadata is not an object');
  const apiVersion = stringAt(object, 'apiVersion') ?? apiVersionOf(resource);
  const kind = stringAt(object, 'kind') ?? resource.kind;
  if (apiVersion !== apiVersionOf(resource)) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${apiVersionOf(resource)})`,
    );
  }
  if (kind !== resource.kind) {
    throw badRequest(
      `${kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: the kinds differ`,
    );
  }
  if (name !== '' && nameOf(object) !== '' && nameOf(object) !== name) {
    throw badRequest(`the name of the object (${nameOf(object)}) does not match the name on the URL (${name})`);
  }
  if (namespaceOf(object) !== '' && namespaceOf(object) !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  return withMetadata(object, resource.isNamespaced ? { namespace } : { namespace: null });
}

function checkPreconditions(target: Target, live: KubernetesObject, wanted: KubernetesObject): void {
  const uid = uidOf(wanted);
  if (uid !== '' && uid !== uidOf(live)) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${uidOf(live)}`;
    throw conflict(target.resource, target.name, why);
  }
  const seen = resourceVersionOf(wanted);
  if (seen !== '' && seen !== '0' && seen !== resourceVersionOf(live))
    throw conflict(target.resource, target.name, modifiedMeanwhile);
}

/** What the endpoint does not write: status on the object itself, everything else on its status. */
function withoutResetFields({ resource, subresource }: Target, object: KubernetesObject): KubernetesObject {
  if (subresource === 'status') {
    const { spec: _spec, ...rest } = object;
    return rest as KubernetesObject;
  }
  if (!resource.hasStatus) return object;
  const { status: _status, ...rest } = object;
  return rest as KubernetesObject;
}

function newObject(store: Store, target: Target, wanted: KubernetesObject): KubernetesObject {
  const { resource, namespace, name } = target;
  if (resource.isNamespaced) requireNamespace(store, target);
  const identified = withMetadata(withoutResetFields(target, wanted), {
    name,
    ...(resource.isNamespaced ? { namespace } : {}),
    uid: randomUUID(),
    creationTimestamp: timestamp(),
    resourceVersion: null,
    managedFields: null,
    deletionTimestamp: null,
    deletionGracePeriodSeconds: null,
    ...(resource.hasGeneration ? { generation: 1 } : { generation: null }),
  });
  return complete(store, target, { object: identified, previous: undefined });
}

function requireNamespace(store: Store, { resource, namespace, name }: Target): void {
  const found = store.all().find((it) => it.resource.kind === 'Namespace' && nameOf(it.object) === namespace);
  if (!found) throw notFound({ ...resource, group: '', plural: 'namespaces', kind: 'Namespace' }, namespace);
  if (isDeleting(found.object)) {
    throw forbidden(
      resource,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
  }
}

type Update = { previous: KubernetesObject; wanted: KubernetesObject; options: WriteOptions };

function update(store: Store, target: Target, { previous, wanted, options }: Update): Written {
  const next = carriedOver(store, target, { previous, wanted: withoutResetFields(target, wanted) });
  const writer: Writer = { manager: options.manager, operation: 'Update', subresource: target.subresource };
  return save(store, target, { next: trackUpdate(target.resource, previous, { next, writer }), previous, options });
}

/** Metadata the server keeps, and the half of the object this endpoint does not write, come from the stored object. */
function carriedOver(
  store: Store,
  target: Target,
  { previous, wanted }: { previous: KubernetesObject; wanted: KubernetesObject },
): KubernetesObject {
  const { resource, subresource } = target;
  const isStatus = subresource === 'status';
  const kept = ['name', 'namespace', 'uid', 'creationTimestamp', 'generateName', 'generation', 'managedFields'];
  const deletion = ['deletionTimestamp', 'deletionGracePeriodSeconds', 'resourceVersion'];
  const system = Object.fromEntries([...kept, ...deletion].map((field) => [field, previous.metadata[field] ?? null]));
  const labels = isStatus && resource.kind === 'Deployment' ? { labels: labelsOf(previous) } : {};
  const withSystem = withMetadata(isStatus ? { ...previous, metadata: wanted.metadata } : wanted, {
    ...system,
    ...labels,
  });
  const status = isStatus ? wanted['status'] : previous['status'];
  const object: KubernetesObject = { ...withSystem };
  if (resource.hasStatus) {
    delete object['status'];
    if (status !== undefined) object['status'] = status;
  }
  const completed = complete(store, target, { object, previous });
  const isSpecChanged = resource.hasGeneration && !isSame(completed['spec'], previous['spec']);
  const generation = previous.metadata['generation'];
  return isSpecChanged ? withMetadata(completed, { generation: Number(generation) + 1 }) : completed;
}

function complete(
  store: Store,
  { resource, name }: Target,
  { object, previous }: { object: KubernetesObject; previous: KubernetesObject | undefined },
): KubernetesObject {
  const typed: KubernetesObject = { ...withoutNulls(object), apiVersion: apiVersionOf(resource), kind: resource.kind };
  const nameless = nameOf(object) === '';
  const filled = withDefaults(resource, typed, { previous, freeClusterIp: () => freeClusterIp(store) });
  const problems = problemsOf(resource, filled, previous);
  if (problems.length > 0) throw invalid(resource, nameless ? '' : name, problems);
  return filled;
}

type Save = { next: KubernetesObject; previous: KubernetesObject | undefined; options: WriteOptions };

function save(store: Store, { resource }: Target, { next, previous, options }: Save): Written {
  if (previous && isSame(withoutTimes(next), withoutTimes(previous))) return { object: previous, isNew: false };
  const isNew = previous === undefined;
  if (options.isDryRun) return { object: next, isNew };
  return { object: finishDeletion(store, resource, store.put(resource, next)), isNew };
}

/** Managed fields carry the time of a write; a write that changes only this time is none. */
function withoutTimes(object: KubernetesObject): KubernetesObject {
  const entries = arrayAt(object.metadata, 'managedFields').map((entry) => {
    if (!isObject(entry)) return entry;
    const { time: _time, ...rest } = entry;
    return rest;
  });
  return withMetadata(object, { managedFields: entries });
}

/** Five characters as the real server appends them: no vowels, so that no words appear. */
function randomSuffix(): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  return Array.from(randomUUID().replaceAll('-', '').slice(0, 10).match(/../g) ?? [], (pair) =>
    alphabet.charAt(Number.parseInt(pair, 16) % alphabet.length),
  ).join('');
}
