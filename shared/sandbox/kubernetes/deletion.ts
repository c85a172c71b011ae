import type { JsonObject } from './json.ts';
import { objectAt, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { finalizersOf, isDeleting, nameOf, resourceVersionOf, timestamp, uidOf, withMetadata } from './objects.ts';
import type { Resource } from './resources.ts';
import { conflict } from './status.ts';
import type { Store } from './store.ts';

export type DeleteOptions = {
  propagation: 'Background' | 'Foreground' | 'Orphan' | undefined;
  gracePeriodSeconds: number | undefined;
  uid: string | undefined;
  resourceVersion: string | undefined;
  isDryRun: boolean;
};

export type Deleted = { object: KubernetesObject; isGone: boolean };

const foregroundFinalizer = 'foregroundDeletion';
const orphanFinalizer = 'orphan';

/** Removes an object, or marks it as being deleted when finalizers, its node or its dependents come first. */
export function deleteObject(
  store: Store,
  resource: Resource,
  { object, options }: { object: KubernetesObject; options: DeleteOptions },
): Deleted {
  checkPreconditions(resource, object, options);
  const grace = resource.kind === 'Pod' ? podGrace(object, options) : 0;
  const finalizers = withPropagation(finalizersOf(object), options.propagation ?? defaultPropagation(resource));
  if (finalizers.length === 0 && grace === 0 && resource.kind !== 'Namespace') {
    if (options.isDryRun) return { object, isGone: true };
    const last = resource.kind === 'Pod' ? mark(resource, object, { finalizers, grace }) : object;
    return { object: store.remove(resource, last), isGone: true };
  }
  const marked = mark(resource, object, { finalizers, grace });
  if (options.isDryRun || marked === object) return { object: marked, isGone: false };
  return { object: store.put(resource, marked), isGone: false };
}

/** An object that is being deleted goes once nothing holds it any more. */
export function finishDeletion(store: Store, resource: Resource, object: KubernetesObject): KubernetesObject {
  if (!isDeleting(object) || finalizersOf(object).length > 0) return object;
  if (resource.kind === 'Namespace') return object;
  if (Number(object.metadata['deletionGracePeriodSeconds'] ?? 0) > 0) return object;
  return store.remove(resource, object);
}

/** Jobs of batch/v1 orphan their pods unless asked otherwise, everything else is collected in the background. */
function defaultPropagation(resource: Resource): 'Background' | 'Orphan' {
  return resource.kind === 'Job' ? 'Orphan' : 'Background';
}

function withPropagation(finalizers: string[], propagation: 'Background' | 'Foreground' | 'Orphan'): string[] {
  const own = finalizers.filter((it) => it !== foregroundFinalizer && it !== orphanFinalizer);
  if (propagation === 'Foreground') return [...own, foregroundFinalizer];
  if (propagation === 'Orphan') return [...own, orphanFinalizer];
  return own;
}

function mark(
  resource: Resource,
  object: KubernetesObject,
  { finalizers, grace }: { finalizers: string[]; grace: number },
): KubernetesObject {
  const before = Number(object.metadata['deletionGracePeriodSeconds'] ?? Number.POSITIVE_INFINITY);
  const isSooner = !isDeleting(object) || grace < before;
  const isSameFinalizers = finalizersOf(object).join() === finalizers.join();
  if (!isSooner && isSameFinalizers) return object;
  const generation = object.metadata['generation'];
  const deletion: JsonObject = isSooner
    ? {
        deletionTimestamp: timestamp(Date.now() + grace * 1000),
        deletionGracePeriodSeconds: grace,
        ...(typeof generation === 'number' && !isDeleting(object) ? { generation: generation + 1 } : {}),
      }
    : {};
  const marked = withMetadata(object, { ...deletion, finalizers: finalizers.length > 0 ? finalizers : null });
  if (resource.kind !== 'Namespace') return marked;
  return { ...marked, status: { ...objectAt(object, 'status'), phase: 'Terminating' } };
}

/** A pod that no node runs, or that has ended, needs no grace. */
function podGrace(pod: KubernetesObject, options: DeleteOptions): number {
  const spec = objectAt(pod, 'spec');
  const phase = stringAt(objectAt(pod, 'status'), 'phase');
  if (!stringAt(spec, 'nodeName') || phase === 'Succeeded' || phase === 'Failed') return 0;
  return options.gracePeriodSeconds ?? Number(spec?.['terminationGracePeriodSeconds'] ?? 30);
}

function checkPreconditions(resource: Resource, object: KubernetesObject, options: DeleteOptions): void {
  // The real server names the kind here, not the resource.
  const named = { ...resource, group: '', plural: resource.kind };
  const refuse = (what: string, { asked, found, why }: { asked: string; found: string; why: string }) =>
    conflict(
      named,
      nameOf(object),
      `the ${what} in the precondition (${asked}) does not match the ${what} in record (${found}). ${why}`,
    );
  if (options.uid !== undefined && options.uid !== uidOf(object)) {
    const why = 'The object might have been deleted and then recreated';
    throw refuse('UID', { asked: options.uid, found: uidOf(object), why });
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersionOf(object)) {
    const why = 'The object might have been modified';
    throw refuse('ResourceVersion', { asked: options.resourceVersion, found: resourceVersionOf(object), why });
  }
}
