import type { JournalEntry, Snapshot } from './journal.ts';
import { openJournal } from './journal.ts';
import type { KubernetesObject } from './objects.ts';
import { keyOf, nameOf, namespaceOf, ownersOf, uidOf, withMetadata } from './objects.ts';
import type { Resource } from './resources.ts';
import { resourceKey, resources } from './resources.ts';

/** A write as watchers see it. `previous` is missing for a new object, `current` for a deleted one. */
export type Change = {
  version: number;
  resource: Resource;
  key: string;
  previous: KubernetesObject | undefined;
  current: KubernetesObject | undefined;
};

export type Located = { resource: Resource; object: KubernetesObject };

/** All objects, in memory, with a journal behind. Writes take effect at once; `durable` tells when they are on disk. */
export type Store = {
  version(): number;
  get(resource: Resource, namespace: string, name: string): KubernetesObject | undefined;
  /** Ordered by namespace and name. `namespace` '' means all. */
  list(resource: Resource, namespace: string): KubernetesObject[];
  /** The list as it was at `version`, or undefined when that is forgotten. */
  listAt(resource: Resource, namespace: string, version: number): KubernetesObject[] | undefined;
  /** Every write later than `version`, or undefined when some of them are forgotten. */
  changesSince(version: number): Change[] | undefined;
  byUid(uid: string): Located | undefined;
  /** The objects that name this uid as an owner. */
  dependentsOf(uid: string): Located[];
  all(): Located[];
  put(resource: Resource, object: KubernetesObject): KubernetesObject;
  remove(resource: Resource, object: KubernetesObject): KubernetesObject;
  /** Calls `listener` for every write in order, once it is on disk. */
  subscribe(listener: (change: Change) => void): () => void;
  durable(): Promise<void>;
  close(): Promise<void>;
};

type Tables = Map<string, Map<string, KubernetesObject>>;

/** How many writes are remembered for watches and pages by default. */
const defaultHistoryLength = 10_000;

export type StoreOptions = { historyLength?: number | undefined; compactAfterLines?: number | undefined };

export async function openStore(folder: string, options: StoreOptions = {}): Promise<Store> {
  const tables: Tables = new Map(resources.map((resource) => [resourceKey(resource), new Map()]));
  const { journal, snapshot, entries } = await openJournal(folder, () => snapshotOf(tables, version), options);
  let version = snapshot?.version ?? 1;
  const history: Change[] = [];
  let forgottenVersion = version;
  const listeners = new Set<(change: Change) => void>();
  const unseen: Change[] = [];
  const owners = ownerIndex();

  function record({
    resource,
    key,
    object,
  }: {
    resource: Resource;
    key: string;
    object: KubernetesObject | undefined;
  }): Change {
    const table = tableOf(tables, resource);
    const previous = table.get(key);
    if (object) table.set(key, object);
    else table.delete(key);
    owners.update(resource, previous, object);
    const change = { version, resource, key, previous, current: object };
    history.push(change);
    if (history.length > (options.historyLength ?? defaultHistoryLength))
      forgottenVersion = history.shift()?.version ?? version;
    return change;
  }

  function write(resource: Resource, object: KubernetesObject, isRemoved: boolean): KubernetesObject {
    version += 1;
    const stamped = withMetadata(object, { resourceVersion: String(version) });
    const key = keyOf(resource, namespaceOf(object), nameOf(object));
    unseen.push(record({ resource, key, object: isRemoved ? undefined : stamped }));
    journal.append({ version, resource: resourceKey(resource), key, ...(isRemoved ? {} : { object: stamped }) });
    publishWhenDurable();
    return stamped;
  }

  function publishWhenDurable(): void {
    const last = version;
    journal.settled().then(
      () => {
        while (unseen[0] && unseen[0].version <= last) {
          const change = unseen.shift();
          if (change) for (const listener of listeners) listener(change);
        }
      },
      // The request that wrote this waits for the same promise and answers the failure.
      () => undefined,
    );
  }

  for (const entry of [...(snapshot?.objects ?? []), ...entries]) {
    const resource = resources.find((it) => resourceKey(it) === entry.resource);
    if (!resource) continue;
    version = Math.max(version, entry.version);
    record({ resource, key: entry.key, object: entry.object });
    if (entry.version <= (snapshot?.version ?? 0)) history.length = 0;
  }

  return {
    version: () => version,
    get: (resource, namespace, name) => tableOf(tables, resource).get(keyOf(resource, namespace, name)),
    list: (resource, namespace) => ordered(tableOf(tables, resource), namespace),
    listAt(resource, namespace, at) {
      if (at < forgottenVersion || at > version) return undefined;
      return ordered(rewind(tableOf(tables, resource), history, { resource, at }), namespace);
    },
    changesSince(from) {
      if (from < forgottenVersion || from > version) return undefined;
      return history.filter((change) => change.version > from && !unseen.includes(change));
    },
    byUid: (uid) => owners.byUid(uid),
    dependentsOf: (uid) => owners.dependentsOf(uid),
    all: () =>
      resources.flatMap((resource) => [...tableOf(tables, resource).values()].map((object) => ({ resource, object }))),
    put: (resource, object) => write(resource, object, false),
    remove: (resource, object) => write(resource, object, true),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    durable: () => journal.settled(),
    close: () => journal.close(),
  };
}

function tableOf(tables: Tables, resource: Resource): Map<string, KubernetesObject> {
  const table = tables.get(resourceKey(resource));
  if (!table) throw new Error(`no table for ${resourceKey(resource)}`);
  return table;
}

function ordered(table: Map<string, KubernetesObject>, namespace: string): KubernetesObject[] {
  const keys = [...table.keys()].filter((key) => namespace === '' || key.startsWith(`${namespace}/`));
  return keys.sort((a, b) => (a < b ? -1 : 1)).flatMap((key) => table.get(key) ?? []);
}

function rewind(
  table: Map<string, KubernetesObject>,
  history: Change[],
  { resource, at }: { resource: Resource; at: number },
): Map<string, KubernetesObject> {
  const past = new Map(table);
  for (let index = history.length - 1; index >= 0; index -= 1) {
    const change = history[index];
    if (!change || change.version <= at) break;
    if (change.resource !== resource) continue;
    if (change.previous) past.set(change.key, change.previous);
    else past.delete(change.key);
  }
  return past;
}

function snapshotOf(tables: Tables, version: number): Snapshot {
  const objects: JournalEntry[] = [];
  for (const [resource, table] of tables) {
    for (const [key, object] of table) objects.push({ version, resource, key, object });
  }
  return { version, objects };
}

function ownerIndex() {
  const located = new Map<string, Located>();
  const dependents = new Map<string, Set<string>>();
  return {
    update(resource: Resource, previous: KubernetesObject | undefined, current: KubernetesObject | undefined): void {
      for (const owner of previous ? ownersOf(previous) : [])
        dependents.get(owner.uid)?.delete(uidOf(previous as KubernetesObject));
      if (previous) located.delete(uidOf(previous));
      if (!current) return;
      located.set(uidOf(current), { resource, object: current });
      for (const owner of ownersOf(current)) {
        const known = dependents.get(owner.uid) ?? new Set();
        dependents.set(owner.uid, known.add(uidOf(current)));
      }
    },
    byUid: (uid: string) => located.get(uid),
    dependentsOf: (uid: string) => [...(dependents.get(uid) ?? [])].flatMap((it) => located.get(it) ?? []),
  };
}
