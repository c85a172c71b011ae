import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesClient, KubernetesObject, Resource } from './kubernetes-client.ts';
import { refusalCode } from './kubernetes-client.ts';

/** One kind's objects of one namespace, kept up to date by a watch. */
export type Informer<T extends KubernetesObject> = {
  /** Newest known state, in the order of first sight. */
  list(): T[];
  get(name: string): T | undefined;
  /** Takes the answer to an own write, so that the next decision sees it before the watch brings it. */
  learn(object: T): void;
  stop(): Promise<void>;
};

export type InformerHandler<T> = {
  /** Called for each object of the first list, before `startInformer` resolves, and for each change from then on. */
  changed?(object: T): void;
  deleted?(object: T): void;
  /** The connection failed; the informer tries again by itself. */
  failed?(error: unknown): void;
};

const retryDelayMs = 500;

/**
 * Lists, then watches from there; after a lost connection it watches on from the last seen version, after 410 Gone it
 * lists again and reports the difference. Resolves when the first list is in; rejects if that fails.
 */
export async function startInformer<T extends KubernetesObject>(
  client: KubernetesClient,
  resource: Resource<T>,
  { namespace, handler = {} }: { namespace: string; handler?: InformerHandler<T> },
): Promise<Informer<T>> {
  const abort = new AbortController();
  const cache = objectCache<T>(handler);

  async function relist(): Promise<string> {
    const { items, resourceVersion } = await client.list(resource, namespace);
    cache.replace(items, resourceVersion);
    return resourceVersion;
  }

  async function watchFrom(resourceVersion: string): Promise<string> {
    let seen = resourceVersion;
    const events = client.watch(resource, namespace, { resourceVersion, signal: abort.signal });
    for await (const event of events) {
      if (event.type === 'ERROR') {
        throw new Error(`watch of ${resource.plural} ended: ${event.object.message}`, { cause: event.object });
      }
      seen = event.object.metadata.resourceVersion ?? seen;
      cache.saw(seen);
      if (event.type === 'DELETED') cache.remove(event.object);
      else if (event.type !== 'BOOKMARK') cache.put(event.object);
    }
    return seen;
  }

  async function follow(first: string): Promise<void> {
    let version: string | undefined = first;
    while (!abort.signal.aborted) {
      try {
        version = await watchFrom(version ?? (await relist()));
        // A server that closes at once must not be asked in a tight loop.
        await delay(20, undefined, { signal: abort.signal });
      } catch (error) {
        if (abort.signal.aborted) return;
        // 410: our version is too old. Anything else may have hidden events as well; a new list is always right.
        version = undefined;
        if (refusalCode(error) !== 410) handler.failed?.(error);
        await delay(retryDelayMs, undefined, { signal: abort.signal }).catch(() => undefined); // aborted: the loop ends
      }
    }
  }

  const following = follow(await relist());
  return {
    list: cache.list,
    get: cache.get,
    learn: cache.learn,
    async stop() {
      abort.abort();
      await following;
    },
  };
}

/**
 * Objects by name. Versions are compared as numbers: both our API server and etcd-backed ones count upwards
 * (Kubernetes documents this order since 1.35).
 */
function objectCache<T extends KubernetesObject>(handler: InformerHandler<T>) {
  const objects = new Map<string, T>();
  let horizon = 0;

  function put(object: T): void {
    const known = objects.get(object.metadata.name);
    if (known !== undefined && versionOf(known) >= versionOf(object)) return;
    if (known !== undefined && known.metadata.uid !== object.metadata.uid) handler.deleted?.(known);
    objects.set(object.metadata.name, object);
    handler.changed?.(object);
  }

  function remove(object: T): void {
    const known = objects.get(object.metadata.name);
    if (known === undefined || known.metadata.uid !== object.metadata.uid) return;
    objects.delete(object.metadata.name);
    handler.deleted?.(object);
  }

  return {
    put,
    remove,
    list: () => [...objects.values()],
    get: (name: string) => objects.get(name),
    saw(version: string) {
      horizon = Math.max(horizon, Number(version) || 0);
    },
    learn(object: T) {
      // Unknown here although the watch is already past it: it was deleted in between.
      if (!objects.has(object.metadata.name) && versionOf(object) <= horizon) return;
      put(object);
    },
    replace(items: T[], version: string) {
      horizon = Math.max(horizon, Number(version) || 0);
      const uids = new Set(items.map((item) => item.metadata.uid));
      for (const known of objects.values()) if (!uids.has(known.metadata.uid)) remove(known);
      for (const item of items) put(item);
    },
  };
}

function versionOf(object: KubernetesObject): number {
  return Number(object.metadata.resourceVersion ?? 0);
}
