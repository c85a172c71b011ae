import { randomUUID } from 'node:crypto';
import type { FieldValidation, Target } from './bodies.ts';
import { appliedObject, bodyObject } from './bodies.ts';
import { withDefaults } from './defaults.ts';
import { finishDeletion } from './deletion.ts';
import type { JsonObject } from './json.ts';
import { arrayAt, isObject, isSame, stringAt, withoutNulls } from './json.ts';
import type { Writer } from './managed-fields.ts';
import { applyFields, trackUpdate } from './managed-fields.ts';
import { mergePatch } from './merge-patch.ts';
import type { KubernetesObject } from './objects.ts';
import { isDeleting, labelsOf, nameOf, resourceVersionOf, timestamp, uidOf, withMetadata } from './objects.ts';
import { apiVersionOf } from './resources.ts';
import type { Schema } from './schema.ts';
import { freeClusterIp } from './service-addresses.ts';
import { alreadyExists, conflict, forbidden, invalid, modifiedMeanwhile, notFound, StatusError } from './status.ts';
import type { Store } from './store.ts';
import { problemsOf } from './validation.ts';

export type WriteOptions = { manager: string; isDryRun: boolean; validation: FieldValidation };

export type Written = { object: KubernetesObject; isNew: boolean; warnings: string[] };

/** What writes need: where objects are kept and what they are made of. */
export type Api = { store: Store; schema: Schema };

/** POST: a new object. */
export function createObject({ store, schema }: Api, target: Target, { body, options }: Write): Written {
  const { object, warnings } = bodyObject(schema, target, { body, validation: options.validation });
  const given = nameOf(object);
  const prefix = stringAt(object.metadata, 'generateName');
  if (resourceVersionOf(object) !== '') {
    // The real server answers this mistake of the caller with 500 too.
    throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
  }
  const name = given === '' && prefix ? `${prefix.slice(0, 58)}${randomSuffix()}` : given;
  const writer: Writer = { manager: options.manager, operation: 'Update', subresource: '' };
  const named = { ...target, name };
  const fresh = newObject(store, named, object);
  if (store.get(target.resource, target.namespace, name)) throw alreadyExists(target.resource, name);
  const next = trackUpdate(target.resource, undefined, { next: fresh, writer });
  return save(store, named, { next, previous: undefined, options, warnings });
}

/** PUT: the whole object. */
export function replaceObject({ store, schema }: Api, target: Target, { body, options }: Write): Written {
  const { object, warnings } = bodyObject(schema, target, { body, validation: options.validation });
  const previous = existing(store, target);
  checkPreconditions(target, previous, object);
  return update(store, target, { previous, wanted: object, options, warnings });
}

/** PATCH with a JSON merge patch. */
export function mergePatchObject({ store, schema }: Api, target: Target, { body, options }: Write): Written {
  const previous = existing(store, target);
  const patched = mergePatch(previous, body) as JsonObject;
  const { object, warnings } = bodyObject(schema, target, { body: patched, validation: options.validation });
  checkPreconditions(target, previous, object);
  return update(store, target, { previous, wanted: object, options, warnings });
}

/** PATCH with an apply configuration. Creates the object when it is not there. */
export function applyObject(
  { store, schema }: Api,
  target: Target,
  { body, options, isForced }: Write & { isForced: boolean },
): Written {
  const whole = appliedObject(schema, target, body);
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
    return save(store, target, {
      next: finish(newObject(store, target, applied)),
      previous: undefined,
      options,
      warnings: [],
    });
  }
  const { merged, finish } = applyFields(resource, live, { applied, writer, isForced });
  checkPreconditions(target, live, whole);
  const next = finish(carriedOver(store, target, { previous: live, wanted: merged }));
  return save(store, target, { next, previous: live, options, warnings: [] });
}

type Write = { body: JsonObject; options: WriteOptions };

function existing(store: Store, { resource, namespace, name }: Target): KubernetesObject {
  const object = store.get(resource, namespace, name);
  if (!object) throw notFound(resource, name);
  return object;
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

type Update = { previous: KubernetesObject; wanted: KubernetesObject; options: WriteOptions; warnings: string[] };

function update(store: Store, target: Target, { previous, wanted, options, warnings }: Update): Written {
  const next = carriedOver(store, target, { previous, wanted: withoutResetFields(target, wanted) });
  const writer: Writer = { manager: options.manager, operation: 'Update', subresource: target.subresource };
  return save(store, target, {
    next: trackUpdate(target.resource, previous, { next, writer }),
    previous,
    options,
    warnings,
  });
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

type Save = {
  next: KubernetesObject;
  previous: KubernetesObject | undefined;
  options: WriteOptions;
  warnings: string[];
};

function save(store: Store, { resource }: Target, { next, previous, options, warnings }: Save): Written {
  if (previous && isSame(withoutTimes(next), withoutTimes(previous)))
    return { object: previous, isNew: false, warnings };
  const isNew = previous === undefined;
  if (options.isDryRun) return { object: next, isNew, warnings };
  return { object: finishDeletion(store, resource, store.put(resource, next)), isNew, warnings };
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
