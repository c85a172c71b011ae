import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';

/** JSON Merge Patch, RFC 7396: null removes a field, an object is merged, everything else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete result[field];
    else result[field] = mergePatch(result[field], value);
  }
  return result;
}
