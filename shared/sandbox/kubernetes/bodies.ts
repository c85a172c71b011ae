import { duplicateItems } from './field-set.ts';
import type { JsonObject } from './json.ts';
import { arrayAt, stringAt, withoutNulls } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { asObject, nameOf, namespaceOf, withMetadata } from './objects.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf } from './resources.ts';
import type { Schema, TypeProblem } from './schema.ts';
import { decode } from './schema.ts';
import { badRequest, StatusError } from './status.ts';

/** Where a request points. `name` is '' for a collection, `subresource` is '' or 'status'. */
export type Target = { resource: Resource; namespace: string; name: string; subresource: string };

/** What happens to fields the kind does not have: left out, left out with a warning, refused. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export type Body = { object: KubernetesObject; warnings: string[] };

/** The body of a create, an update or the result of a merge patch. */
export function bodyObject(
  schema: Schema,
  target: Target,
  { body, validation }: { body: JsonObject; validation: FieldValidation },
): Body {
  const { resource } = target;
  const decoded = decode(schema, resource.kind, checkedIdentity(target, body));
  const warnings = decoded.unknownFields.map((path) => `unknown field "${path}"`);
  if (decoded.problems[0]) throw cannotHandle(resource, decoded.problems[0].message);
  if (validation === 'Strict' && warnings.length > 0) {
    throw cannotHandle(resource, `strict decoding error: ${warnings.join(', ')}`);
  }
  return { object: asKnown(target, decoded.object), warnings: validation === 'Warn' ? warnings : [] };
}

/** An apply configuration. What the schema does not know is always refused. */
export function appliedObject(schema: Schema, target: Target, body: JsonObject): KubernetesObject {
  const { resource, name } = target;
  const apiVersion = stringAt(body, 'apiVersion') ?? '';
  const kind = stringAt(body, 'kind') ?? '';
  if (apiVersion === '' || kind === '') throw badRequest(`invalid object type: ${apiVersion}, Kind=${kind}`);
  const object = checkedIdentity(target, withoutNulls(body));
  if (arrayAt(object.metadata, 'managedFields').length > 0) throw badRequest('metadata.managedFields must be nil');
  const { object: known, unknownFields, problems } = decode(schema, resource.kind, object);
  const complaints = [
    ...unknownFields.map((path) => `.${path}: field not declared in schema`),
    ...problems.map(applyComplaint),
    ...duplicateItems(resource.kind, known).map((path) => `${path.list}: duplicate entries for key ${path.key}`),
  ];
  if (complaints.length > 0) {
    const group = resource.group === '' ? `/${resource.version}` : apiVersionOf(resource);
    const who = `${namespaceOf(object)}/${name}; ${group}, Kind=${resource.kind}`;
    const list = complaints.length === 1 ? complaints[0] : `errors:\n${complaints.map((it) => `  ${it}`).join('\n')}`;
    throw new StatusError(500, '', `failed to create typed patch object (${who}): ${list}`);
  }
  return asKnown(target, known);
}

function applyComplaint({ path, expected, found, message }: TypeProblem): string {
  if (expected === 'byte' || expected === 'quantity') return `.${path}: ${message}`;
  const wanted: Record<string, string> = { array: 'list', map: 'map', object: 'map', string: 'string' };
  return `.${path}: expected ${wanted[expected] ?? 'numeric (int or float)'}, got ${found}`;
}

function cannotHandle(resource: Resource, why: string): StatusError {
  return badRequest(
    `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${why}`,
  );
}

/** The body when kind, name and namespace agree with the URL. */
function checkedIdentity({ resource, namespace, name }: Target, body: JsonObject): KubernetesObject {
  const object = asObject(body);
  if (!object) throw cannotHandle(resource, `json: cannot unmarshal metadata of type ${resource.kind}`);
  const apiVersion = stringAt(object, 'apiVersion') ?? apiVersionOf(resource);
  const kind = stringAt(object, 'kind') ?? resource.kind;
  if (apiVersion !== apiVersionOf(resource)) {
    throw cannotHandle(resource, `no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  if (kind !== resource.kind) throw cannotHandle(resource, `the body is a ${kind}`);
  if (name !== '' && nameOf(object) === '') {
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  }
  if (name !== '' && nameOf(object) !== name) {
    throw badRequest(`the name of the object (${nameOf(object)}) does not match the name on the URL (${name})`);
  }
  if (namespaceOf(object) !== '' && namespaceOf(object) !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  return object;
}

function asKnown({ resource, namespace }: Target, decoded: JsonObject): KubernetesObject {
  const object = asObject(decoded) ?? { metadata: {} };
  return withMetadata(object, { namespace: resource.isNamespaced ? namespace : null });
}
