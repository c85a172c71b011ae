import type { Target } from './bodies.ts';
import { findResource } from './resources.ts';
import { notSupported, StatusError } from './status.ts';

/**
 * Reads `/api/v1/...` and `/apis/GROUP/VERSION/...` paths. `name` is '' for a collection.
 * @throws 501 for a resource or subresource that is not served here, 404 for what is no resource path.
 */
export function targetOf(path: string): Target {
  const segments = path.split('/').slice(1).map(decode);
  const isCore = segments[0] === 'api';
  if (!isCore && segments[0] !== 'apis') throw pathNotFound();
  const group = isCore ? '' : (segments[1] ?? '');
  const version = (isCore ? segments[1] : segments[2]) ?? '';
  const rest = segments.slice(isCore ? 2 : 3);
  const isInNamespace = rest[0] === 'namespaces' && rest.length >= 3 && !['status', 'finalize'].includes(rest[2] ?? '');
  const namespace = isInNamespace ? (rest[1] ?? '') : '';
  const [plural = '', name = '', subresource = '', ...more] = isInNamespace ? rest.slice(2) : rest;
  if (plural === '') throw pathNotFound();
  const resource = findResource(group, version, plural);
  if (!resource || more.length > 0)
    throw notSupported(`the resource ${plural} of ${group === '' ? '' : `${group}/`}${version}`);
  if (resource.isNamespaced !== isInNamespace && (name !== '' || isInNamespace)) throw pathNotFound();
  if (subresource !== '' && !(subresource === 'status' && resource.hasStatus)) {
    throw notSupported(`the subresource ${plural}/${subresource}`);
  }
  return { resource, namespace, name, subresource };
}

function pathNotFound(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not valid percent-encoding: no such path.
    throw pathNotFound();
  }
}
