import * as v from 'valibot';
import type { Json } from '#shared/sandbox/kubernetes/json.ts';
import { isObject } from '#shared/sandbox/kubernetes/json.ts';

export const patchSchema = v.array(
  v.union([
    v.strictObject({ op: v.picklist(['add', 'replace']), path: v.string(), value: v.unknown() }),
    v.strictObject({ op: v.literal('remove'), path: v.string() }),
  ]),
);
export type Operation = v.InferOutput<typeof patchSchema>[number];

/** RFC 6902's add, replace and remove, on a copy. @throws Error where a path leads nowhere. */
export function patchJson(document: Json, operations: readonly Operation[], what: string): Json {
  // not structuredClone, which keeps one object for what two fields share
  const copy = JSON.parse(JSON.stringify(document)) as Json;
  for (const operation of operations) applyOperation(copy, operation, what);
  return copy;
}

function applyOperation(document: Json, operation: Operation, what: string): void {
  const words = operation.path.split('/').slice(1).map(unescapeWord);
  const last = words.pop() ?? '';
  let place = document;
  for (const word of words) {
    const next = childOf(place, word);
    if (next === undefined) throw new Error(`${what}: ${operation.path} is not there.`);
    place = next;
  }
  if (operation.op !== 'add' && childOf(place, last) === undefined) {
    throw new Error(`${what}: ${operation.path} is not there.`);
  }
  const value = operation.op === 'remove' ? [] : [structuredClone(operation.value) as Json];
  if (Array.isArray(place)) {
    const index = last === '-' ? place.length : Number(last);
    place.splice(index, operation.op === 'add' ? 0 : 1, ...value);
  } else if (isObject(place)) {
    if (value[0] === undefined) delete place[last];
    else place[last] = value[0];
  } else {
    throw new Error(`${what}: ${operation.path} is not there.`);
  }
}

function childOf(place: Json, word: string): Json | undefined {
  if (Array.isArray(place)) return place[Number(word)];
  return isObject(place) ? place[word] : undefined;
}

function unescapeWord(word: string): string {
  return word.replaceAll('~1', '/').replaceAll('~0', '~');
}
