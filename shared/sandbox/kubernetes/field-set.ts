import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { isAtomicObject, itemElement, listTypeAt } from './list-types.ts';

/**
 * A set of fields of an object, as managed fields hold it. A path is its elements (`f:spec`,
 * `k:{"name":"web"}`, `v:"x"`) joined by a separator that cannot occur in JSON text.
 */
export type FieldSet = Set<string>;

const separator = '\u0000';

export function joinPath(parent: string, element: string): string {
  return parent === '' ? element : `${parent}${separator}${element}`;
}

/** Every ancestor of the set's paths and the paths themselves. */
export function withAncestors(set: FieldSet): FieldSet {
  const all: FieldSet = new Set();
  for (const path of set) {
    const elements = path.split(separator);
    for (let length = 1; length <= elements.length; length += 1) all.add(elements.slice(0, length).join(separator));
  }
  return all;
}

/** `.spec.template.spec.containers[name="web"].image`, as error messages show a path. */
export function readablePath(path: string): string {
  return path
    .split(separator)
    .map((element) => {
      if (element.startsWith('f:')) return `.${element.slice(2)}`;
      if (element.startsWith('v:')) return `[=${element.slice(2)}]`;
      const key = Object.entries(JSON.parse(element.slice(2)) as JsonObject);
      return `[${key.map(([field, value]) => `${field}=${JSON.stringify(value)}`).join(',')}]`;
    })
    .join('');
}

type Visit = { kind: string; path: string; fields: string; set: FieldSet };

/** The leaves of a value, items of keyed lists, and empty objects. */
export function fieldsOf(kind: string, value: JsonObject): FieldSet {
  const set: FieldSet = new Set();
  for (const [field, inner] of Object.entries(value)) {
    visit(inner, { kind, path: field, fields: `f:${field}`, set });
  }
  return set;
}

function visit(value: Json, at: Visit): void {
  if (Array.isArray(value)) return visitList(value, at);
  if (!isObject(value) || isAtomicObject(at.path) || Object.keys(value).length === 0) {
    at.set.add(at.fields);
    return;
  }
  for (const [field, inner] of Object.entries(value)) {
    visit(inner, { ...at, path: `${at.path}.${field}`, fields: joinPath(at.fields, `f:${field}`) });
  }
}

function visitList(items: Json[], at: Visit): void {
  const list = listTypeAt(at.kind, at.path);
  if (list.type === 'atomic' || items.length === 0) {
    at.set.add(at.fields);
    return;
  }
  for (const item of items) {
    const fields = joinPath(at.fields, itemElement(item, list));
    at.set.add(fields);
    if (isObject(item)) visit(item, { ...at, path: `${at.path}.[]`, fields });
  }
}

/** Items of keyed lists and sets that occur twice, which an apply configuration may not have. */
export function duplicateItems(kind: string, value: JsonObject): { list: string; key: string }[] {
  const found: { list: string; key: string }[] = [];
  const walk = (inner: Json, path: string, fields: string): void => {
    if (isObject(inner)) {
      for (const [field, item] of Object.entries(inner)) {
        walk(item, path === '' ? field : `${path}.${field}`, joinPath(fields, `f:${field}`));
      }
      return;
    }
    const list = Array.isArray(inner) ? listTypeAt(kind, path) : undefined;
    if (!Array.isArray(inner) || !list || list.type === 'atomic') return;
    const seen = new Set<string>();
    for (const item of inner) {
      const element = itemElement(item, list);
      if (seen.has(element)) found.push({ list: readablePath(fields), key: readablePath(element) });
      seen.add(element);
      walk(item, `${path}.[]`, joinPath(fields, element));
    }
  };
  walk(value, '', '');
  return found;
}

/** The value at a path of the set, or undefined. */
export function valueAt(kind: string, object: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = object;
  let place = '';
  for (const element of path.split(separator)) {
    if (element.startsWith('f:')) {
      const field = element.slice(2);
      value = isObject(value) ? value[field] : undefined;
      place = place === '' ? field : `${place}.${field}`;
    } else {
      const list = listTypeAt(kind, place);
      value = Array.isArray(value) ? value.find((item) => itemElement(item, list) === element) : undefined;
      place = `${place}.[]`;
    }
  }
  return value;
}

/** The nested form of `managedFields[].fieldsV1`. */
export function toFieldsV1(set: FieldSet): JsonObject {
  const root: JsonObject = {};
  for (const path of [...set].sort()) {
    let node = root;
    for (const element of path.split(separator)) {
      const next = node[element];
      if (isObject(next)) node = next;
      else {
        const made: JsonObject = {};
        node[element] = made;
        node = made;
      }
    }
    node['.'] = {};
  }
  return withoutLeafDots(root);
}

/** A leaf is written `{}`; the dot stays only where the path itself and something below it are owned. */
function withoutLeafDots(node: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [element, inner] of Object.entries(node)) {
    if (!isObject(inner)) continue;
    const isLeaf = Object.keys(inner).length === 1 && '.' in inner;
    result[element] = isLeaf ? {} : withoutLeafDots(inner);
  }
  return result;
}

export function fromFieldsV1(fields: JsonObject): FieldSet {
  const set: FieldSet = new Set();
  collect(fields, '', set);
  return set;
}

function collect(node: JsonObject, path: string, set: FieldSet): void {
  for (const [element, inner] of Object.entries(node)) {
    if (element === '.') set.add(path);
    else if (isObject(inner)) {
      const next = joinPath(path, element);
      if (Object.keys(inner).length === 0) set.add(next);
      else collect(inner, next, set);
    }
  }
}
