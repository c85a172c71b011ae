export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [field: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at `field`, or undefined when there is none. */
export function objectAt(parent: JsonObject | undefined, field: string): JsonObject | undefined {
  const value = parent?.[field];
  return isObject(value) ? value : undefined;
}

/** The array at `field`, or an empty one. */
export function arrayAt(parent: JsonObject | undefined, field: string): Json[] {
  const value = parent?.[field];
  return Array.isArray(value) ? value : [];
}

/** The string at `field`, or undefined. */
export function stringAt(parent: JsonObject | undefined, field: string): string | undefined {
  const value = parent?.[field];
  return typeof value === 'string' ? value : undefined;
}

/** Equality of two JSON values; the order of fields does not count. */
export function isSame(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => isSame(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const fields = Object.keys(left);
  return fields.length === Object.keys(right).length && fields.every((field) => isSame(left[field], right[field]));
}

/** A copy without fields that are null, which the API server treats as absent. */
export function withoutNulls<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item)) as T;
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(kept.map(([field, item]) => [field, withoutNulls(item)])) as T;
}
