import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { canonicalQuantity } from './quantity.ts';
import { resources } from './resources.ts';

type Field = { type: string; format: string };

/** The fields of every type our kinds are made of, by the type's name. */
export type Schema = Map<string, Map<string, Field>>;

/** A value of the wrong type, or one its format forbids. */
export type TypeProblem = { path: string; message: string; expected: string; found: string };

export type Decoded = { object: JsonObject; unknownFields: string[]; problems: TypeProblem[] };

type ModelModule = Record<string, { getAttributeTypeMap(): { baseName: string; type: string; format: string }[] }>;

/** Reads the types from the models that the Kubernetes client is generated with from the OpenAPI document. */
export async function loadSchema(): Promise<Schema> {
  const schema: Schema = new Map();
  const load = async (name: string): Promise<void> => {
    if (schema.has(name)) return;
    const fields = new Map<string, Field>();
    schema.set(name, fields);
    const module = (await import(`@kubernetes/client-node/dist/gen/models/${name}.js`)) as ModelModule;
    const attributes = module[name]?.getAttributeTypeMap() ?? [];
    for (const { baseName, type, format } of attributes) fields.set(baseName, { type, format });
    await Promise.all(attributes.flatMap(({ type }) => modelIn(type) ?? []).map(load));
  };
  await Promise.all(resources.map((resource) => load(`V1${resource.kind}`)));
  return schema;
}

function modelIn(type: string): string | undefined {
  return /\b(?:Core)?V1\w+/.exec(type)?.[0];
}

/** Where resource quantities are kept; the models call them strings. */
const quantityMaps = new Set(['limits', 'requests', 'capacity', 'hard', 'allocatedResources']);

/**
 * The object as the API server's types hold it: unknown fields are left out and named, empty lists and maps
 * are left out, quantities are in their canonical form.
 */
export function decode(schema: Schema, kind: string, object: JsonObject): Decoded {
  const unknownFields: string[] = [];
  const problems: TypeProblem[] = [];
  return { object: decodeModel(object, { type: `V1${kind}`, path: '' }), unknownFields, problems };

  function decodeModel(value: JsonObject, { type, path }: { type: string; path: string }): JsonObject {
    const result: JsonObject = {};
    for (const [name, inner] of Object.entries(value)) {
      const place = path === '' ? name : `${path}.${name}`;
      const field = schema.get(type)?.get(name);
      if (!field) {
        unknownFields.push(place);
        continue;
      }
      if (inner === null) continue;
      const decoded = decodeValue(inner, { ...field, path: place, name });
      if (!isEmptyCollection(decoded, field.type)) result[name] = decoded;
    }
    return result;
  }

  function decodeValue(value: Json, at: Field & { path: string; name: string }): Json {
    const { type, path, name } = at;
    const item = /^Array<(.+)>$/.exec(type)?.[1];
    if (item !== undefined) {
      if (!Array.isArray(value)) return mismatch(value, { path, expected: 'array' });
      return value.map((inner, index) => decodeValue(inner, { ...at, type: item, path: `${path}[${index}]` }));
    }
    const entry = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
    if (entry !== undefined) {
      if (!isObject(value)) return mismatch(value, { path, expected: 'map' });
      const entries = Object.entries(value).map(([key, inner]) => {
        const place = { ...at, type: entry, path: `${path}.${key}` };
        return [key, quantityMaps.has(name) ? decodeQuantity(inner, place.path) : decodeValue(inner, place)];
      });
      return Object.fromEntries(entries) as JsonObject;
    }
    if (schema.has(type))
      return isObject(value) ? decodeModel(value, { type, path }) : mismatch(value, { path, expected: 'object' });
    return decodeScalar(value, at);
  }

  function decodeScalar(value: Json, { type, format, path, name }: Field & { path: string; name: string }): Json {
    if (type === 'any') return value;
    if (name === 'sizeLimit') return decodeQuantity(value, path);
    const isRight =
      type === 'IntOrString'
        ? typeof value === 'string' || Number.isInteger(value)
        : typeof value === (type === 'Date' ? 'string' : type);
    if (!isRight) return mismatch(value, { path, expected: type === 'number' ? format || 'int32' : 'string' });
    if (type === 'number' && format.startsWith('int') && !Number.isInteger(value))
      return mismatch(value, { path, expected: format });
    if (format === 'byte' && typeof value === 'string' && !isBase64(value)) {
      problems.push({ path, message: 'illegal base64 data at input byte 0', expected: 'byte', found: 'string' });
    }
    return value;
  }

  function decodeQuantity(value: Json, path: string): Json {
    const canonical =
      typeof value === 'string' || typeof value === 'number' ? canonicalQuantity(String(value)) : undefined;
    if (canonical !== undefined) return canonical;
    const message = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    problems.push({ path, message, expected: 'quantity', found: typeOf(value) });
    return value;
  }

  function mismatch(value: Json, { path, expected }: { path: string; expected: string }): Json {
    const found = typeOf(value);
    const message = `json: cannot unmarshal ${found} into Go struct field ${kind}.${path} of type ${expected}`;
    problems.push({ path, message, expected, found });
    return value;
  }
}

function typeOf(value: Json): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return value === null ? 'null' : typeof value;
}

function isEmptyCollection(value: Json, type: string): boolean {
  if (type.startsWith('Array<')) return Array.isArray(value) && value.length === 0;
  return type.startsWith('{ [key') && isObject(value) && Object.keys(value).length === 0;
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
