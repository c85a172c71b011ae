import type { FieldSet } from './field-set.ts';
import { joinPath } from './field-set.ts';
import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';
import type { ListType } from './list-types.ts';
import { isAtomicObject, itemElement, listTypeAt } from './list-types.ts';

/** The live value with the applied one laid over it: objects field by field, keyed lists item by item, all else replaced. */
export function mergeApplied(kind: string, live: JsonObject, applied: JsonObject): JsonObject {
  return mergeObjects(live, applied, { kind, path: '' });
}

type Place = { kind: string; path: string };

function inner(place: Place, field: string): Place {
  return { kind: place.kind, path: place.path === '' ? field : `${place.path}.${field}` };
}

function mergeValues(live: Json | undefined, applied: Json, place: Place): Json {
  if (isObject(applied) && isObject(live) && !isAtomicObject(place.path)) return mergeObjects(live, applied, place);
  if (Array.isArray(applied) && Array.isArray(live)) {
    const list = listTypeAt(place.kind, place.path);
    if (list.type !== 'atomic') return mergeLists(live, applied, { place, list });
  }
  return applied;
}

function mergeObjects(live: JsonObject, applied: JsonObject, place: Place): JsonObject {
  const result: JsonObject = { ...live };
  for (const [field, value] of Object.entries(applied)) {
    result[field] = mergeValues(live[field], value, inner(place, field));
  }
  return result;
}

/** Keeps the order of the applied list; items only the live list has stay where they were among the others. */
function mergeLists(live: Json[], applied: Json[], { place, list }: { place: Place; list: ListType }): Json[] {
  const elementOf = (item: Json) => itemElement(item, list);
  const wanted = new Set(applied.map(elementOf));
  const liveItems = new Map(live.map((item) => [elementOf(item), item]));
  const result: Json[] = [];
  let next = 0;
  const emitApplied = (item: Json) => {
    result.push(mergeValues(liveItems.get(elementOf(item)), item, inner(place, '[]')));
    next += 1;
  };
  for (const item of live) {
    if (!wanted.has(elementOf(item))) {
      result.push(item);
      continue;
    }
    const position = applied.findIndex((it) => elementOf(it) === elementOf(item));
    for (const earlier of applied.slice(next, position + 1)) emitApplied(earlier);
  }
  for (const item of applied.slice(next)) emitApplied(item);
  return result;
}

/**
 * Takes away what the manager applied before and no longer applies, defaults inside it included.
 * What another manager owns below a removed field stays.
 */
export function removeAbandoned(
  kind: string,
  object: JsonObject,
  { abandoned, kept }: { abandoned: FieldSet; kept: FieldSet },
): JsonObject {
  const pruned = prune(object, { kind, path: '', fields: '', isInside: false });
  return isObject(pruned) ? pruned : {};

  function prune(value: Json, at: { kind: string; path: string; fields: string; isInside: boolean }): Json | undefined {
    const isInside = at.isInside || abandoned.has(at.fields);
    if (isInside && !kept.has(at.fields)) return undefined;
    if (Array.isArray(value)) {
      const list = listTypeAt(kind, at.path);
      if (list.type === 'atomic') return value;
      const place = { kind, path: `${at.path}.[]`, isInside };
      const items = value.map((item) =>
        prune(item, { ...place, fields: joinPath(at.fields, itemElement(item, list)) }),
      );
      const left = items.filter((item) => item !== undefined);
      return left.length === 0 && value.length > 0 ? undefined : left;
    }
    if (!isObject(value) || isAtomicObject(at.path)) return value;
    const entries = Object.entries(value).map(([field, item]) => {
      const path = at.path === '' ? field : `${at.path}.${field}`;
      return [field, prune(item, { kind, path, fields: joinPath(at.fields, `f:${field}`), isInside })] as const;
    });
    return Object.fromEntries(entries.filter((entry): entry is readonly [string, Json] => entry[1] !== undefined));
  }
}
