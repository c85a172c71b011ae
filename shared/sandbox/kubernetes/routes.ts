import { deleteObject, deleteOptionsOf } from './deletion.ts';
import type { JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { listObjects } from './lists.ts';
import { nameOf, uidOf } from './objects.ts';
import { badRequest, conflict, invalid, notFound, notSupported, StatusError } from './status.ts';
import type { Store } from './store.ts';
import type { Target, WriteOptions, Written } from './writes.ts';
import { applyObject, createObject, mergePatchObject, replaceObject } from './writes.ts';

export type Request = {
  method: string;
  target: Target;
  query: URLSearchParams;
  contentType: string;
  userAgent: string;
  body: string;
};

export type Answer = { status: number; body: JsonObject };

const readParameters = ['pretty', 'resourceVersion', 'timeout'];
const writeParameters = ['pretty', 'dryRun', 'fieldManager', 'fieldValidation', 'timeout'];
const listParameters = [
  ...readParameters,
  'labelSelector',
  'fieldSelector',
  'limit',
  'continue',
  'resourceVersionMatch',
  'watch',
  'allowWatchBookmarks',
  'timeoutSeconds',
  'sendInitialEvents',
];
const deleteParameters = ['pretty', 'dryRun', 'gracePeriodSeconds', 'propagationPolicy', 'timeout'];

/** Every call but watch. */
export function answer(store: Store, request: Request): Answer {
  const { method, target } = request;
  const isCollection = target.name === '';
  if (method === 'GET') return isCollection ? list(store, request) : read(store, request);
  if (method === 'POST' && isCollection) return create(store, request);
  if (method === 'PUT' && !isCollection) return replace(store, request);
  if (method === 'PATCH' && !isCollection) return patch(store, request);
  if (method === 'DELETE' && !isCollection && target.subresource === '') return remove(store, request);
  if (method === 'DELETE' && isCollection) throw notSupported('deleting a whole collection');
  throw new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

function read(store: Store, { target, query }: Request): Answer {
  allow(query, readParameters);
  const object = store.get(target.resource, target.namespace, target.name);
  if (!object) throw notFound(target.resource, target.name);
  return { status: 200, body: object };
}

function list(store: Store, { target, query }: Request): Answer {
  allow(query, listParameters);
  return { status: 200, body: listObjects(store, target.resource, { namespace: target.namespace, query }) };
}

function create(store: Store, request: Request): Answer {
  allow(request.query, writeParameters);
  if (request.target.resource.isNamespaced && request.target.namespace === '') {
    throw new StatusError(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
      {},
    );
  }
  return written(createObject(store, request.target, { body: bodyOf(request), options: writeOptions(request) }));
}

function replace(store: Store, request: Request): Answer {
  allow(request.query, writeParameters);
  const body = bodyOf(request);
  return written(replaceObject(store, request.target, { body, options: writeOptions(request) }));
}

function patch(store: Store, request: Request): Answer {
  allow(request.query, [...writeParameters, 'force']);
  const force = request.query.get('force');
  const body = () => bodyOf(request);
  switch (request.contentType) {
    case 'application/apply-patch+yaml': {
      if (!request.query.get('fieldManager'))
        throw patchOptionsInvalid('fieldManager', 'Required value: is required for apply patch');
      const isForced = force === 'true' || force === '1';
      return written(applyObject(store, request.target, { body: body(), options: writeOptions(request), isForced }));
    }
    case 'application/merge-patch+json':
      if (force !== null) throw patchOptionsInvalid('force', 'Forbidden: may not be specified for non-apply patch');
      return written(mergePatchObject(store, request.target, { body: body(), options: writeOptions(request) }));
    case 'application/json-patch+json':
    case 'application/strategic-merge-patch+json':
      throw notSupported(`PATCH with ${request.contentType}`);
    default:
      throw new StatusError(
        415,
        'UnsupportedMediaType',
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
        {},
      );
  }
}

function patchOptionsInvalid(field: string, message: string): StatusError {
  const reason = message.startsWith('Required') ? 'FieldValueRequired' : 'FieldValueForbidden';
  const options = { group: 'meta.k8s.io', kind: 'PatchOptions', plural: 'patchoptions', version: 'v1' };
  const resource = { ...options, isNamespaced: false, hasStatus: false, hasGeneration: false, fieldSelectors: [] };
  return invalid(resource, '', [{ reason, message, field }]);
}

function remove(store: Store, request: Request): Answer {
  const { target, query } = request;
  allow(query, deleteParameters);
  const options = {
    ...deleteOptionsOf(request.body === '' ? {} : bodyOf(request), query),
    isDryRun: isDryRun(request),
  };
  const object = store.get(target.resource, target.namespace, target.name);
  if (!object) throw notFound(target.resource, target.name);
  if (target.resource.kind === 'Namespace' && object.metadata['deletionTimestamp']) {
    const why =
      'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.';
    throw conflict(target.resource, target.name, why);
  }
  const { object: left, isGone } = deleteObject(store, target.resource, { object, options });
  // Pods answer themselves, gone or not, as the real server does.
  if (!isGone || target.resource.kind === 'Pod') return { status: 200, body: left };
  const { group, plural } = target.resource;
  const details = { name: nameOf(left), ...(group === '' ? {} : { group }), kind: plural, uid: uidOf(left) };
  return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

function written({ object, isNew }: Written): Answer {
  return { status: isNew ? 201 : 200, body: object };
}

function allow(query: URLSearchParams, parameters: readonly string[]): void {
  const unknown = [...query.keys()].find((name) => !parameters.includes(name));
  if (unknown !== undefined) throw notSupported(`the query parameter ${unknown} here`);
}

function isDryRun({ query, body }: Request): boolean {
  const asked = query.getAll('dryRun');
  if (asked.some((value) => value !== 'All'))
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(asked)}: supported values: "All"`);
  return asked.length > 0 || /"dryRun"\s*:\s*\[\s*"All"/.test(body);
}

function writeOptions(request: Request): WriteOptions {
  const manager = request.query.get('fieldManager') || request.userAgent.split('/')[0] || 'unknown';
  return { manager, isDryRun: request.query.getAll('dryRun').length > 0 && isDryRun(request) };
}

function bodyOf({ body }: Request): JsonObject {
  try {
    const value: unknown = JSON.parse(body);
    if (isObject(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw badRequest(`the body is not JSON (this server reads no YAML): ${error.message}`);
  }
  throw badRequest('the body is not a JSON object');
}
