import { deleteObject, finishDeletion } from './deletion.ts';
import { arrayAt, isObject, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { finalizersOf, isDeleting, nameOf, namespaceOf, ownersOf, uidOf, withMetadata } from './objects.ts';
import type { Change, Located, Store } from './store.ts';

const inBackground = {
  propagation: 'Background',
  gracePeriodSeconds: undefined,
  uid: undefined,
  resourceVersion: undefined,
  isDryRun: false,
} as const;

/**
 * Deletes what lost all its owners and the content of namespaces that are going away, and lets owners
 * that wait for their dependents go. Looks at everything once at the start, so a crash loses no work.
 */
export function startGarbageCollection(store: Store): () => void {
  const stop = store.subscribe((change) => react(store, change));
  for (const located of store.all()) {
    const current = find(store, located);
    if (current) settle(store, current);
  }
  return stop;
}

function react(store: Store, change: Change): void {
  if (change.current) {
    const current = find(store, { resource: change.resource, object: change.current });
    if (current) settle(store, current);
    return;
  }
  const gone = change.previous;
  if (!gone) return;
  for (const dependent of store.dependentsOf(uidOf(gone))) settle(store, dependent);
  for (const owner of ownersOf(gone)) {
    const waiting = store.byUid(owner.uid);
    if (waiting) settle(store, waiting);
  }
  const namespace = store
    .all()
    .find((it) => it.resource.kind === 'Namespace' && nameOf(it.object) === namespaceOf(gone));
  if (namespace) settle(store, namespace);
}

function find(store: Store, { object }: Located): Located | undefined {
  return store.byUid(uidOf(object));
}

/** Does what this object's state asks for. */
function settle(store: Store, located: Located): void {
  const { resource, object } = located;
  if (ownersOf(object).length > 0) collectIfAbandoned(store, located);
  if (!isDeleting(object)) return;
  if (resource.kind === 'Namespace') emptyNamespace(store, located);
  if (finalizersOf(object).includes('orphan')) releaseDependents(store, located);
  if (finalizersOf(object).includes('foregroundDeletion')) deleteDependentsFirst(store, located);
}

function collectIfAbandoned(store: Store, { resource, object }: Located): void {
  if (isDeleting(object)) return;
  const owners = ownersOf(object);
  const isThere = (uid: string) => {
    const owner = store.byUid(uid);
    return owner !== undefined && (!owner.resource.isNamespaced || namespaceOf(owner.object) === namespaceOf(object));
  };
  const present = owners.filter((owner) => isThere(owner.uid));
  if (present.length === 0) {
    deleteObject(store, resource, { object, options: inBackground });
    return;
  }
  if (present.length < owners.length)
    put(
      store,
      { resource, object },
      withoutOwners(object, (uid) => isThere(uid)),
    );
}

function withoutOwners(object: KubernetesObject, isKept: (uid: string) => boolean): KubernetesObject {
  const left = arrayAt(object.metadata, 'ownerReferences').filter(
    (it) => isObject(it) && isKept(stringAt(it, 'uid') ?? ''),
  );
  return withMetadata(object, { ownerReferences: left.length > 0 ? left : null });
}

function withoutFinalizer(object: KubernetesObject, finalizer: string): KubernetesObject {
  const left = finalizersOf(object).filter((it) => it !== finalizer);
  return withMetadata(object, { finalizers: left.length > 0 ? left : null });
}

function put(store: Store, { resource }: Located, next: KubernetesObject): void {
  finishDeletion(store, resource, store.put(resource, next));
}

function releaseDependents(store: Store, owner: Located): void {
  const uid = uidOf(owner.object);
  for (const dependent of store.dependentsOf(uid)) {
    put(
      store,
      dependent,
      withoutOwners(dependent.object, (it) => it !== uid),
    );
  }
  put(store, owner, withoutFinalizer(owner.object, 'orphan'));
}

function deleteDependentsFirst(store: Store, owner: Located): void {
  const uid = uidOf(owner.object);
  for (const { resource, object } of store.dependentsOf(uid)) {
    if (isDeleting(object)) continue;
    const hasOwnDependents = store.dependentsOf(uidOf(object)).length > 0;
    const propagation = hasOwnDependents ? 'Foreground' : 'Background';
    deleteObject(store, resource, { object, options: { ...inBackground, propagation } });
  }
  const blocking = store
    .dependentsOf(uid)
    .filter((it) => ownersOf(it.object).some((reference) => reference.uid === uid && reference.blocksOwnerDeletion));
  if (blocking.length === 0) put(store, owner, withoutFinalizer(owner.object, 'foregroundDeletion'));
}

function emptyNamespace(store: Store, { resource, object }: Located): void {
  const content = store.all().filter((it) => it.resource.isNamespaced && namespaceOf(it.object) === nameOf(object));
  for (const item of content) {
    if (!isDeleting(item.object)) deleteObject(store, item.resource, { object: item.object, options: inBackground });
  }
  const left = store.all().some((it) => it.resource.isNamespaced && namespaceOf(it.object) === nameOf(object));
  if (!left && finalizersOf(object).length === 0) store.remove(resource, object);
}
