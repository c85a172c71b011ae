import type { JsonObject } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { nameOf, namespaceOf } from './objects.ts';
import { optionsInvalid } from './options.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';
import type { Selector } from './selectors.ts';
import { fieldSelector, labelSelector } from './selectors.ts';
import { badRequest, expired, StatusError } from './status.ts';
import type { Store } from './store.ts';

/** Where the next page begins: after `start`, in the list as it was at `version`. */
type Position = { version: number; start: string };

const pageTooOld =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.';

export function selectorOf(resource: Resource, query: URLSearchParams): Selector {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const byLabel = labels ? labelSelector(labels) : undefined;
  const byField = fields ? fieldSelector(fields, resource) : undefined;
  return (object) => (byLabel?.(object) ?? true) && (byField?.(object) ?? true);
}

/** GET of a collection: selected, in order, in pages of `limit`. */
export function listObjects(
  store: Store,
  resource: Resource,
  { namespace, query }: { namespace: string; query: URLSearchParams },
): JsonObject {
  const selected = selectorOf(resource, query);
  const limit = limitOf(query);
  const token = query.get('continue');
  const position = token ? readToken(token) : undefined;
  const { objects, version } = stateOf(store, resource, { namespace, query, position });
  const found = objects.filter(selected).filter((object) => !position || placeOf(object) > position.start);
  const page = limit > 0 ? found.slice(0, limit) : found;
  const last = page.at(-1);
  const rest = found.length - page.length;
  const isSelecting = Boolean(query.get('labelSelector') || query.get('fieldSelector'));
  const metadata: JsonObject = { resourceVersion: String(version) };
  if (rest > 0 && last) {
    metadata['continue'] = writeToken({ version, start: placeOf(last) });
    if (!isSelecting) metadata['remainingItemCount'] = rest;
  }
  // The real server leaves kind and apiVersion out of a list's items.
  const items = page.map(({ apiVersion: _version, kind: _kind, ...item }) => item);
  return { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items };
}

type State = { objects: KubernetesObject[]; version: number };

function stateOf(
  store: Store,
  resource: Resource,
  { namespace, query, position }: { namespace: string; query: URLSearchParams; position: Position | undefined },
): State {
  const asked = query.get('resourceVersion');
  const match = query.get('resourceVersionMatch');
  if (position && asked && asked !== '0')
    throw badRequest('specifying resource version is not allowed when using continue');
  if (match && !asked) {
    const message = 'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided';
    throw optionsInvalid('ListOptions', { reason: 'FieldValueForbidden', message, field: 'resourceVersionMatch' });
  }
  if (position) return past(store, resource, { namespace, version: position.version, whenForgotten: pageTooOld });
  const version = asked ? wholeNumber(asked, 'resourceVersion') : 0;
  if (version > store.version()) {
    throw new StatusError(
      504,
      'Timeout',
      `Timeout: Too large resource version: ${version}, current: ${store.version()}`,
      {
        retryAfterSeconds: 1,
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      },
    );
  }
  if (match === 'Exact') {
    return past(store, resource, {
      namespace,
      version,
      whenForgotten: `The resourceVersion for the provided list is too old.`,
    });
  }
  return { objects: store.list(resource, namespace), version: store.version() };
}

function past(
  store: Store,
  resource: Resource,
  { namespace, version, whenForgotten }: { namespace: string; version: number; whenForgotten: string },
): State {
  const objects = store.listAt(resource, namespace, version);
  if (!objects) throw expired(whenForgotten);
  return { objects, version };
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit');
  return text ? wholeNumber(text, 'limit') : 0;
}

export function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`${what}: Invalid value: ${JSON.stringify(text)}: not a whole number`);
  return Number(text);
}

/** The same order as the store's keys. */
function placeOf(object: KubernetesObject): string {
  const namespace = namespaceOf(object);
  return namespace === '' ? nameOf(object) : `${namespace}/${nameOf(object)}`;
}

function writeToken(position: Position): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: position.version, start: position.start })).toString(
    'base64url',
  );
}

function readToken(token: string): Position {
  try {
    const value = JSON.parse(Buffer.from(token, 'base64url').toString()) as { rv: unknown; start: unknown };
    if (typeof value.rv === 'number' && typeof value.start === 'string')
      return { version: value.rv, start: value.start };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw badRequest('continue key is not valid: it does not come from this server');
}
