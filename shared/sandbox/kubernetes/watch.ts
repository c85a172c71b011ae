import type { ServerResponse } from 'node:http';
import type { JsonObject } from './json.ts';
import { selectorOf, wholeNumber } from './lists.ts';
import type { KubernetesObject } from './objects.ts';
import { namespaceOf, withMetadata } from './objects.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';
import type { Selector } from './selectors.ts';
import { expired, notSupported, statusOf } from './status.ts';
import type { Change, Store } from './store.ts';

/** The real server ends a watch without `timeoutSeconds` after 30 to 60 minutes. */
const defaultTimeoutSeconds = 1800;
const bookmarkEveryMs = 60_000;
/** A last bookmark comes this long before the end, so that the next watch need not start far back. */
const bookmarkBeforeEndMs = 2000;

type Scope = { resource: Resource; namespace: string; query: URLSearchParams };

/** Streams changes as JSON lines until the client leaves, the time is over, or the returned function is called. */
export function startWatch(store: Store, response: ServerResponse, scope: Scope): () => void {
  const { resource, query } = scope;
  if (query.get('sendInitialEvents')) throw notSupported('sendInitialEvents');
  const selected = selectorOf(resource, query);
  const timeoutMs = wholeNumber(query.get('timeoutSeconds') ?? String(defaultTimeoutSeconds), 'timeoutSeconds') * 1000;
  const from = startingPoint(store, scope);
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  const send = (type: string, object: JsonObject) => response.write(`${JSON.stringify({ type, object })}\n`);
  if (from.changes === undefined) {
    send('ERROR', statusOf(expired(`too old resource version: ${query.get('resourceVersion')} (${store.version()})`)));
    response.end();
    return () => undefined;
  }
  for (const object of from.objects.filter(selected)) send('ADDED', object);
  let version = from.version;
  const pass = (change: Change) => {
    version = change.version;
    const event = eventFor(change, scope, selected);
    if (event) send(event.type, event.object);
  };
  for (const change of from.changes) pass(change);
  const unsubscribe = store.subscribe(pass);
  const isBookmarked = query.get('allowWatchBookmarks') === 'true';
  const stopBookmarks = isBookmarked
    ? startBookmarks({ timeoutMs, version: () => version, send: () => send('BOOKMARK', bookmark(resource, version)) })
    : () => undefined;
  const end = () => {
    clearTimeout(timer);
    stopBookmarks();
    unsubscribe();
    response.end();
  };
  const timer = setTimeout(end, timeoutMs);
  response.once('close', end);
  return end;
}

type StartingPoint = { version: number; objects: KubernetesObject[]; changes: Change[] | undefined };

function startingPoint(store: Store, { resource, namespace, query }: Scope): StartingPoint {
  const asked = query.get('resourceVersion') ?? '';
  if (asked === '' || asked === '0') {
    return { version: store.version(), objects: store.list(resource, namespace), changes: [] };
  }
  const version = wholeNumber(asked, 'resourceVersion');
  return { version, objects: [], changes: store.changesSince(version) };
}

function eventFor(
  { resource, version, previous, current }: Change,
  scope: Scope,
  selected: Selector,
): { type: string; object: KubernetesObject } | undefined {
  if (resource !== scope.resource) return undefined;
  const either = current ?? previous;
  if (!either || (scope.namespace !== '' && namespaceOf(either) !== scope.namespace)) return undefined;
  const was = previous !== undefined && selected(previous);
  const is = current !== undefined && selected(current);
  if (is && current) return { type: was ? 'MODIFIED' : 'ADDED', object: current };
  // An object that leaves the selection is shown as it was while it belonged to it.
  if (was && previous) return { type: 'DELETED', object: withMetadata(previous, { resourceVersion: String(version) }) };
  return undefined;
}

function bookmark(resource: Resource, version: number): JsonObject {
  const metadata = { resourceVersion: String(version), creationTimestamp: null };
  return { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata };
}

type Bookmarks = { timeoutMs: number; version: () => number; send: () => void };

/** About every minute and shortly before the end, when anything happened since; no moment is promised. */
function startBookmarks({ timeoutMs, version, send }: Bookmarks): () => void {
  let sent = version();
  const sendIfNewer = () => {
    if (version() === sent) return;
    sent = version();
    send();
  };
  const regular = setInterval(sendIfNewer, bookmarkEveryMs);
  const last = timeoutMs > bookmarkBeforeEndMs ? setTimeout(sendIfNewer, timeoutMs - bookmarkBeforeEndMs) : undefined;
  return () => {
    clearInterval(regular);
    clearTimeout(last);
  };
}
