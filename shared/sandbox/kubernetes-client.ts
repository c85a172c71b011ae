import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Agent, type Dispatcher } from 'undici';
import { parse } from 'yaml';

/** What every Kubernetes object carries, as far as the sandbox reads it. */
export type ObjectMeta = {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: readonly OwnerReference[];
  finalizers?: readonly string[];
};

type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};

export type KubernetesObject = { apiVersion?: string; kind?: string; metadata: ObjectMeta };

/** A kind's place in the API. `sample` is never set; it carries the object's type. */
export type Resource<T extends KubernetesObject> = { groupVersion: string; plural: string; sample?: T };

/** The API server's Status object, as far as it is read. */
type ApiStatus = { code: number; reason?: string; message?: string };

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: ApiStatus };

type ListOptions = { labelSelector?: string; fieldSelector?: string };
type WatchOptions = ListOptions & { resourceVersion: string; signal: AbortSignal };
type DeleteOptions = { gracePeriodSeconds?: number; uid?: string; propagationPolicy?: string };
type PatchOptions = {
  /** Default `application/merge-patch+json`. */
  contentType?: string;
  subresource?: 'status';
  fieldManager?: string;
};

/**
 * Reads and writes objects of one namespace at a time. A refusal by the server is an `Error` whose `cause` is the
 * Status object (`refusalCode` reads its code); anything else thrown means that no answer came.
 */
export type KubernetesClient = {
  list<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string,
    options?: ListOptions,
  ): Promise<{ items: T[]; resourceVersion: string }>;
  /** Ends when the server ends the stream (it does so every few minutes) or the signal aborts. */
  watch<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** `undefined` if there is no such object. */
  get<T extends KubernetesObject>(resource: Resource<T>, namespace: string, name: string): Promise<T | undefined>;
  create<T extends KubernetesObject>(resource: Resource<T>, namespace: string, object: T): Promise<T>;
  /** PUT to /status: refused with 409 unless `metadata.resourceVersion` is the newest. */
  replaceStatus<T extends KubernetesObject>(resource: Resource<T>, namespace: string, object: T): Promise<T>;
  patch<T extends KubernetesObject>(
    resource: Resource<T>,
    target: { namespace: string; name: string },
    body: unknown,
    options?: PatchOptions,
  ): Promise<T>;
  /** False if there was no such object, or another one (by uid) under that name. */
  delete<T extends KubernetesObject>(
    resource: Resource<T>,
    target: { namespace: string; name: string },
    options?: DeleteOptions,
  ): Promise<boolean>;
  close(): Promise<void>;
};

const requestTimeoutMs = 30_000;
/** The server closes a watch after this long, so a dead connection is noticed soon after. */
const watchTimeoutSeconds = 300;

/** The HTTP code of the server's refusal, or `undefined` if the error is not one. */
export function refusalCode(error: unknown): number | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'number'
    ? cause.code
    : undefined;
}

export async function openKubernetesClient(kubeconfigFile: string): Promise<KubernetesClient> {
  const access = await readKubeconfig(kubeconfigFile);
  const agent = new Agent({
    connections: 32,
    pipelining: 1,
    headersTimeout: requestTimeoutMs,
    bodyTimeout: requestTimeoutMs,
    connect: { timeout: 5_000, ...access.tls },
  });
  const send = sender(access, agent);
  const path = (resource: Resource<KubernetesObject>, namespace: string, ...rest: string[]) =>
    ['', resource.groupVersion, 'namespaces', namespace, resource.plural, ...rest].join('/');

  return {
    async list<Item extends KubernetesObject>(resource: Resource<Item>, namespace: string, options: ListOptions = {}) {
      type List = { items?: Item[]; metadata?: { resourceVersion?: string; continue?: string } };
      const items: Item[] = [];
      let resourceVersion = '';
      let next: string | undefined;
      do {
        const query = queryOf({ ...options, limit: '500', continue: next });
        const page = await send<List>('GET', path(resource, namespace) + query);
        items.push(...(page.items ?? []));
        resourceVersion = page.metadata?.resourceVersion ?? '';
        next = page.metadata?.continue || undefined;
      } while (next !== undefined);
      return { items, resourceVersion };
    },
    watch: (resource, namespace, options) => watchEvents(access, agent, { path: path(resource, namespace), options }),
    async get(resource, namespace, name) {
      return await unlessRefused(404, () => send('GET', path(resource, namespace, name)));
    },
    create: (resource, namespace, object) => send('POST', path(resource, namespace), { body: object }),
    replaceStatus: (resource, namespace, object) =>
      send('PUT', path(resource, namespace, object.metadata.name, 'status'), { body: object }),
    patch(resource, { namespace, name }, body, options = {}) {
      const rest = options.subresource === undefined ? [name] : [name, options.subresource];
      const query = queryOf({ fieldManager: options.fieldManager });
      const contentType = options.contentType ?? 'application/merge-patch+json';
      return send('PATCH', path(resource, namespace, ...rest) + query, { body, contentType });
    },
    async delete(resource, { namespace, name }, options = {}) {
      const { uid, ...rest } = options;
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...rest, ...(uid ? { preconditions: { uid } } : {}) };
      const answer = await unlessRefused(404, () =>
        // 409 is the refused precondition: another object has the name now.
        unlessRefused(409, () => send('DELETE', path(resource, namespace, name), { body })),
      );
      return answer !== undefined;
    },
    close: () => agent.destroy(),
  };
}

type Access = { origin: string; headers: Record<string, string>; tls: { ca?: string; cert?: string; key?: string } };

/** The server, the credentials and the CA of the current context: a token or a client certificate, inline or as files. */
async function readKubeconfig(file: string): Promise<Access> {
  const config = parse(await readFile(file, 'utf8')) as KubeconfigFile;
  const context = find(config.contexts, config['current-context'])?.context;
  const cluster = find(config.clusters, context?.cluster)?.cluster ?? {};
  const user = find(config.users, context?.user)?.user ?? {};
  if (cluster['server'] === undefined) throw new Error(`${file} has no cluster for its current context`);
  const read = async (fields: Fields, name: string) => {
    const [data, path] = [fields[`${name}-data`], fields[name]];
    if (data !== undefined) return Buffer.from(data, 'base64').toString();
    return path === undefined ? undefined : await readFile(resolve(dirname(file), path), 'utf8');
  };
  const tls = {
    ca: await read(cluster, 'certificate-authority'),
    cert: await read(user, 'client-certificate'),
    key: await read(user, 'client-key'),
  };
  return {
    origin: new URL(cluster['server']).origin,
    headers: user['token'] === undefined ? {} : { authorization: `Bearer ${user['token']}` },
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
  };
}

type Fields = Record<string, string | undefined>;
type KubeconfigFile = {
  'current-context'?: string;
  contexts?: { name: string; context: { cluster: string; user: string } }[];
  clusters?: { name: string; cluster: Fields }[];
  users?: { name: string; user: Fields }[];
};

function find<T extends { name: string }>(list: T[] | undefined, name: string | undefined): T | undefined {
  return list?.find((item) => item.name === name);
}

function sender(access: Access, agent: Agent) {
  return async <T>(
    method: Dispatcher.HttpMethod,
    path: string,
    options: { body?: unknown; contentType?: string } = {},
  ): Promise<T> => {
    const contentType = options.contentType ?? 'application/json';
    const { statusCode, body } = await agent.request({
      origin: access.origin,
      path,
      method,
      headers: { ...access.headers, accept: 'application/json', 'content-type': contentType },
      body: options.body === undefined ? null : JSON.stringify(options.body),
    });
    const text = await body.text();
    if (statusCode >= 300) throw refusal(`${method} ${path.split('?')[0]}`, statusCode, text);
    // The caller names the resource and with it the type; the server is trusted to answer with that kind.
    return JSON.parse(text) as T;
  };
}

function refusal(request: string, code: number, text: string): Error {
  let status: ApiStatus = { code, message: text.slice(0, 300) };
  try {
    status = { ...(JSON.parse(text) as ApiStatus), code };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // not JSON: the text itself is the message
  }
  return new Error(`Kubernetes refused ${request} with ${code}: ${status.message ?? status.reason ?? ''}`, {
    cause: status,
  });
}

async function unlessRefused<T>(code: number, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (refusalCode(error) === code) return undefined;
    throw error;
  }
}

async function* watchEvents<T>(
  access: Access,
  agent: Agent,
  { path, options }: { path: string; options: WatchOptions },
): AsyncIterable<WatchEvent<T>> {
  const { signal, ...selection } = options;
  const query = queryOf({
    ...selection,
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(watchTimeoutSeconds),
  });
  const { statusCode, body } = await agent.request({
    origin: access.origin,
    path: path + query,
    method: 'GET',
    headers: { ...access.headers, accept: 'application/json' },
    signal,
    bodyTimeout: (watchTimeoutSeconds + 30) * 1000,
  });
  if (statusCode >= 300) throw refusal(`watch ${path}`, statusCode, await body.text());
  body.setEncoding('utf8');
  let rest = '';
  for await (const chunk of body as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent<T>;
  }
}

function queryOf(values: Record<string, string | undefined>): string {
  const pairs = Object.entries(values).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`;
}
