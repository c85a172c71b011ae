import { setTimeout as pause } from 'node:timers/promises';
import { CloudEvent, HTTP } from 'cloudevents';
import { Agent } from 'undici';
import type { ClusterClient, WatchEvent } from './cluster-client.ts';
import { openClusterClient } from './cluster-client.ts';
import type { JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';

export type WatchedResource = { apiVersion: string; kind: string; labelSelector: string };

export type ApiServerSourceOptions = {
  kubeconfigFile: string;
  /** Where the events are POSTed. */
  sink: string;
  resources: WatchedResource[];
  /** '' watches all namespaces. */
  namespace: string;
  /** Told about every event that was given up. */
  onDropped?: (event: { type: string; subject: string }, why: string) => void;
};

const eventTypes: Record<string, string> = {
  ADDED: 'dev.knative.apiserver.resource.add',
  MODIFIED: 'dev.knative.apiserver.resource.update',
  DELETED: 'dev.knative.apiserver.resource.delete',
};

/** Five retries, doubling from 50 ms, as Knative's adapter sends (about 1.5 s in all). */
const retryDelaysMs = [50, 100, 200, 400, 800];
/** The statuses after which the CloudEvents SDK for Go, which that adapter uses, tries again. */
const retriedStatuses = [404, 413, 425, 429, 502, 503, 504];
const answerTimeoutMs = 60_000;
const reconnectDelayMs = 500;

/**
 * Publishes changes of cluster objects as CloudEvents, as Knative's ApiServerSource does in Resource mode. Its gaps
 * are kept: objects that are there at the start, or that changed while the watch was lost, send nothing, and an
 * event the sink does not take is dropped. Events of one kind are sent one after the other.
 * Resolves when every watch has its starting point.
 */
export async function startApiServerSource(options: ApiServerSourceOptions): Promise<{ stop(): Promise<void> }> {
  const client = await openClusterClient(options.kubeconfigFile);
  const sender = new Agent();
  const abort = new AbortController();
  const publish = (event: WatchEvent) =>
    publishEvent(event, { options, sender, source: client.url, signal: abort.signal });
  let loops: Promise<void>[];
  try {
    loops = await Promise.all(
      options.resources.map(async (watched) => {
        const path = await pathOf(client, watched, options.namespace);
        const version = await currentVersion(client, path);
        return { path, version };
      }),
    ).then((starts) => starts.map((start) => follow(client, start, { publish, signal: abort.signal })));
  } catch (error) {
    await Promise.all([client.close(), sender.destroy()]);
    throw error;
  }
  return {
    async stop() {
      abort.abort();
      await Promise.all(loops);
      await Promise.all([client.close(), sender.destroy()]);
    },
  };
}

/** The collection's path with its label selector; the plural name comes from the server's discovery. */
async function pathOf(client: ClusterClient, watched: WatchedResource, namespace: string): Promise<string> {
  const root = watched.apiVersion.includes('/') ? `/apis/${watched.apiVersion}` : `/api/${watched.apiVersion}`;
  const { status, body } = await client.request('GET', root);
  const found = arrayAt(body, 'resources')
    .filter(isObject)
    .find((it) => it['kind'] === watched.kind && !stringAt(it, 'name')?.includes('/'));
  if (status !== 200 || !found)
    throw new Error(`${client.url} does not serve ${watched.kind} of ${watched.apiVersion} (HTTP ${status})`);
  const plural = stringAt(found, 'name') ?? '';
  const scope = namespace === '' || found['namespaced'] === false ? '' : `/namespaces/${namespace}`;
  return `${root}${scope}/${plural}?labelSelector=${encodeURIComponent(watched.labelSelector)}`;
}

async function currentVersion(client: ClusterClient, path: string): Promise<string> {
  const { status, body } = await client.request('GET', `${path}&limit=1`);
  const version = stringAt(objectAt(body, 'metadata'), 'resourceVersion');
  if (status !== 200 || !version)
    throw new Error(`${client.url}${path}: HTTP ${status}: ${stringAt(body, 'message') ?? 'no list'}`);
  return version;
}

type Follow = { publish: (event: WatchEvent) => Promise<void>; signal: AbortSignal };

/** Watches until aborted. A version the server has forgotten is replaced by the present one, without events. */
async function follow(
  client: ClusterClient,
  start: { path: string; version: string },
  { publish, signal }: Follow,
): Promise<void> {
  let version = start.version;
  while (!signal.aborted) {
    try {
      if (version === '') version = await currentVersion(client, start.path);
      const query = `&watch=true&allowWatchBookmarks=true&resourceVersion=${version}&timeoutSeconds=300`;
      for await (const event of await client.watch(`${start.path}${query}`, signal)) {
        if (event.type === 'ERROR') {
          version = '';
          break;
        }
        if (event.type !== 'BOOKMARK') await publish(event);
        version = stringAt(objectAt(event.object, 'metadata'), 'resourceVersion') ?? version;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Error)) throw error;
      // The server is away or refused: what it is does not matter, the next round asks again.
      if (/HTTP 410/.test(error.message)) version = '';
      await pause(reconnectDelayMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

type Publish = { options: ApiServerSourceOptions; sender: Agent; source: string; signal: AbortSignal };

async function publishEvent({ type, object }: WatchEvent, { options, sender, source, signal }: Publish): Promise<void> {
  const eventType = eventTypes[type];
  if (eventType === undefined) return;
  const event = cloudEventOf(eventType, object, source);
  const message = HTTP.binary(event);
  let why = '';
  for (const delayMs of [0, ...retryDelaysMs]) {
    if (delayMs > 0) await pause(delayMs, undefined, { signal });
    const result = await post(sender, {
      sink: options.sink,
      headers: message.headers,
      body: String(message.body),
      signal,
    });
    if (result === 'taken') return;
    if (signal.aborted) return;
    why = result.why;
    if (!result.isRetriable) break;
  }
  options.onDropped?.({ type: eventType, subject: String(event.subject) }, why);
}

function cloudEventOf(type: string, object: JsonObject, source: string): CloudEvent<JsonObject> {
  const metadata = objectAt(object, 'metadata');
  const name = stringAt(metadata, 'name') ?? '';
  const namespace = stringAt(metadata, 'namespace') ?? '';
  const apiversion = stringAt(object, 'apiVersion') ?? '';
  const kind = stringAt(object, 'kind') ?? '';
  // Knative writes `/apis/` also for the core group.
  const subject = `/apis/${apiversion}/namespaces/${namespace}/${pluralOf(kind)}/${name}`;
  const extensions = { kind, apiversion, name, namespace };
  return new CloudEvent({ type, source, subject, datacontenttype: 'application/json', data: object, ...extensions });
}

/** Knative guesses the plural from the kind too (`meta.UnsafeGuessKindToResource`). */
function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (lower.endsWith('s')) return `${lower}es`;
  return lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}s`;
}

type Post = { sink: string; headers: Record<string, unknown>; body: string; signal: AbortSignal };

async function post(
  sender: Agent,
  { sink, headers, body, signal }: Post,
): Promise<'taken' | { why: string; isRetriable: boolean }> {
  const { origin, pathname, search } = new URL(sink);
  try {
    const response = await sender.request({
      origin,
      path: pathname + search,
      method: 'POST',
      headers: headers as Record<string, string>,
      body,
      signal,
      headersTimeout: answerTimeoutMs,
    });
    await response.body.dump();
    if (response.statusCode < 300) return 'taken';
    return {
      why: `the sink answered ${response.statusCode}`,
      isRetriable: retriedStatuses.includes(response.statusCode),
    };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error), isRetriable: true };
  }
}
