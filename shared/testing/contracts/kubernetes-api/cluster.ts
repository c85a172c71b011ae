import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterClient, ClusterResponse, WatchEvent } from '#shared/sandbox/kubernetes/cluster-client.ts';

export type Body = Record<string, unknown>;

/** An answer's body; tests look into it by matchers and by `at`. */
export type Answer = ClusterResponse;

export type WriteOptions = { manager?: string; query?: string };

/** Plain calls in one namespace, by the plural name of a kind. */
export type Cluster = {
  kubeconfigFile: string;
  namespace: string;
  raw: ClusterClient;
  /** `/api/v1/namespaces/NS/secrets/NAME`, and so on for every kind in use. */
  path(plural: string, name?: string): string;
  get(plural: string, name: string): Promise<Answer>;
  create(plural: string, body: Body, options?: WriteOptions): Promise<Answer>;
  replace(plural: string, name: string, body: Body): Promise<Answer>;
  merge(plural: string, name: string, body: Body, options?: WriteOptions): Promise<Answer>;
  apply(plural: string, body: Body, options?: WriteOptions & { isForced?: boolean }): Promise<Answer>;
  remove(plural: string, name: string, body?: Body): Promise<Answer>;
  list(plural: string, query?: string): Promise<Answer>;
  /** Collects a watch's events until `isDone`, at most for `timeoutMs`. */
  watch(plural: string, query: string, isDone: (events: WatchEvent[]) => boolean): Promise<WatchEvent[]>;
};

const groups: Record<string, string> = {
  deployments: '/apis/apps/v1',
  jobs: '/apis/batch/v1',
  ingresses: '/apis/networking.k8s.io/v1',
  networkpolicies: '/apis/networking.k8s.io/v1',
};

const watchTimeoutMs = 15_000;

export function openCluster(
  raw: ClusterClient,
  { namespace, kubeconfigFile }: { namespace: string; kubeconfigFile: string },
): Cluster {
  const path = (plural: string, name?: string) => {
    const collection = `${groups[plural] ?? '/api/v1'}/namespaces/${namespace}/${plural}`;
    return name === undefined ? collection : `${collection}/${name}`;
  };
  const query = (options: WriteOptions = {}) =>
    `?fieldManager=${options.manager ?? 'fleet'}${options.query === undefined ? '' : `&${options.query}`}`;
  return {
    kubeconfigFile,
    namespace,
    raw,
    path,
    get: (plural, name) => raw.request('GET', path(plural, name)),
    create: (plural, body, options) => raw.request('POST', path(plural) + query(options), { body }),
    replace: (plural, name, body) => raw.request('PUT', path(plural, name) + query(), { body }),
    merge: (plural, name, body, options) =>
      raw.request('PATCH', path(plural, name) + query(options), { body, contentType: 'application/merge-patch+json' }),
    apply: (plural, body, options) =>
      raw.request('PATCH', `${path(plural, nameIn(body))}${query(options)}&force=${options?.isForced ?? true}`, {
        body,
        contentType: 'application/apply-patch+yaml',
      }),
    remove: (plural, name, body) => raw.request('DELETE', path(plural, name), body === undefined ? {} : { body }),
    list: (plural, text = '') => raw.request('GET', path(plural) + (text === '' ? '' : `?${text}`)),
    async watch(plural, text, isDone) {
      const abort = AbortSignal.timeout(watchTimeoutMs);
      const events: WatchEvent[] = [];
      for await (const event of await raw.watch(`${path(plural)}?watch=true&${text}`, abort)) {
        events.push(event);
        if (isDone(events)) break;
      }
      return events;
    },
  };
}

function nameIn(body: Body): string {
  return String((body['metadata'] as Body | undefined)?.['name']);
}

/** A name nothing else in the namespace has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}

/** The value at a dotted path of an answer's body, such as `metadata.uid` or `items.0.spec`. */
export function at(answer: Answer | { body: unknown }, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], answer.body);
}

export function text(answer: Answer, path: string): string {
  return String(at(answer, path));
}

/** Waits for a condition another part of the cluster brings about. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`gave up waiting: ${what}`);
    await pause(50);
  }
}

export function isGone(cluster: Cluster, plural: string, name: string): Promise<true> {
  return eventually(
    async () => ((await cluster.get(plural, name)).status === 404 ? true : undefined),
    `${name} is gone`,
  );
}
