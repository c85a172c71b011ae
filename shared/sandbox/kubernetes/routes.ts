import type { Target } from './bodies.ts';
import { deleteObject } from './deletion.ts';
import type { JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { listObjects } from './lists.ts';
import { nameOf, uidOf } from './objects.ts';
import type { OptionsKind } from './options.ts';
import { allowParameters, deleteOptionsOf, optionsInvalid, writeOptionsOf } from './options.ts';
import { badRequest, conflict, notFound, notSupported, StatusError } from './status.ts';
import type { Store } from './store.ts';
import type { Api, WriteOptions, Written } from './writes.ts';
import { applyObject, createObject, mergePatchObject, replaceObject } from './writes.ts';

export type Request = {
  method: string;
  target: Target;
  query: URLSearchParams;
  contentType: string;
  userAgent: string;
  body: string;
};

export type Answer = { status: number; body: JsonObject; warnings?: string[] };

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
export function answer(api: Api, request: Request): Answer {
  const { store } = api;
  const { method, target } = request;
  const isCollection = target.name === '';
  if (method === 'GET') return isCollection ? list(store, request) : read(store, request);
  if (method === 'POST' && isCollection) return create(api, request);
  if (method === 'PUT' && !isCollection) return replace(api, request);
  if (method === 'PATCH' && !isCollection) return patch(api, request);
  if (method === 'DELETE' && !isCollection && target.subresource === '') return remove(store, request);
  if (method === 'DELETE' && isCollection) throw notSupported('deleting a whole collection');
  throw new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

function read(store: Store, { target, query }: Request): Answer {
  allowParameters(query, readParameters);
  const object = store.get(target.resource, target.namespace, target.name);
  if (!object) throw notFound(target.resource, target.name);
  return { status: 200, body: object };
}

function list(store: Store, { target, query }: Request): Answer {
  allowParameters(query, listParameters);
  return { status: 200, body: listObjects(store, target.resource, { namespace: target.namespace, query }) };
}

function create(api: Api, request: Request): Answer {
  allowParameters(request.query, writeParameters);
  if (request.target.resource.isNamespaced && request.target.namespace === '') {
    throw new StatusError(
      405,
      'MethodNotAllowed',
      'the server does not allow this method on the requested resource',
      {},
    );
  }
  return written(
    createObject(api, request.target, { body: bodyOf(request), options: optionsOf('CreateOptions', request) }),
  );
}

function replace(api: Api, request: Request): Answer {
  allowParameters(request.query, writeParameters);
  const body = bodyOf(request);
  return written(replaceObject(api, request.target, { body, options: optionsOf('UpdateOptions', request) }));
}

function patch(api: Api, request: Request): Answer {
  allowParameters(request.query, [...writeParameters, 'force']);
  const force = request.query.get('force');
  const body = () => bodyOf(request);
  switch (request.contentType) {
    case 'application/apply-patch+yaml': {
      if (!request.query.get('fieldManager')) throw managerRequired();
      const isForced = force === 'true' || force === '1';
      return written(
        applyObject(api, request.target, { body: body(), options: optionsOf('PatchOptions', request), isForced }),
      );
    }
    case 'application/merge-patch+json':
      if (force !== null) throw forceForbidden();
      return written(
        mergePatchObject(api, request.target, { body: body(), options: optionsOf('PatchOptions', request) }),
      );
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

function optionsOf(kind: OptionsKind, { query, userAgent }: Request): WriteOptions {
  return writeOptionsOf(kind, query, userAgent);
}

function managerRequired(): StatusError {
  const message = 'Required value: is required for apply patch';
  return optionsInvalid('PatchOptions', { reason: 'FieldValueRequired', message, field: 'fieldManager' });
}

function forceForbidden(): StatusError {
  const message = 'Forbidden: may not be specified for non-apply patch';
  return optionsInvalid('PatchOptions', { reason: 'FieldValueForbidden', message, field: 'force' });
}

function remove(store: Store, request: Request): Answer {
  const { target, query } = request;
  allowParameters(query, deleteParameters);
  const options = deleteOptionsOf(request.body === '' ? {} : bodyOf(request), query);
  const object = store.get(target.resource, target.namespace, target.name);
  if (!object) throw notFound(target.resource, target.name);
  if (target.resource.kind === 'Namespace' && object.metadata['deletionTimestamp']) {
    const why =
      'The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will automatically be purged by the system.';
    throw conflict(target.resource, target.name, why);
  }
  const { object: left, isGone } = deleteObject(store, target.resource, { object, options });
  // Pods and Services answer themselves, gone or not, as the real server does.
  if (!isGone || ['Pod', 'Service'].includes(target.resource.kind)) return { status: 200, body: left };
  const { group, plural } = target.resource;
  const details = { name: nameOf(left), ...(group === '' ? {} : { group }), kind: plural, uid: uidOf(left) };
  return { status: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } };
}

function written({ object, isNew, warnings }: Written): Answer {
  return { status: isNew ? 201 : 200, body: object, warnings };
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
