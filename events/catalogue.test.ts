import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalogue as definitions, eventByType } from './catalogue.ts';
import { checkData } from './check.ts';
import { type AnyEventDefinition, attributesOf, extensionAttributes } from './envelope.ts';
import { provisionRequested } from './instance/provision-requested.ts';

type Path = readonly (string | number)[];
type Data = Record<string, unknown>;
const catalogue: readonly AnyEventDefinition[] = definitions;
const ours = catalogue.filter((definition) => definition.type.startsWith('dev.odoofleet.'));

describe('the catalogue', () => {
  it('names every type once, in our or in a known source’s namespace', () => {
    const types = catalogue.map((definition) => definition.type);
    expect(new Set(types).size).toBe(types.length);
    for (const type of types) expect(type).toMatch(/^dev\.(odoofleet|knative)(\.[a-z]+)+(\.v[2-9])?$/);
  });

  it('finds a definition by its type and nothing by another word', () => {
    for (const definition of catalogue) expect(eventByType(definition.type)).toBe(definition);
    expect(eventByType('constructor')).toBeUndefined();
  });

  it.each(catalogue.map((definition) => [definition.type, definition] as const))(
    'accepts the example of %s',
    (_, one) => {
      expect(checkData(one, one.example)).toMatchObject({ accepted: true });
    },
  );

  it('gives our own events ASCII attributes under registered extension names', () => {
    for (const definition of ours) {
      const { subject, extensions } = attributesOf(definition as never, definition.example as never);
      for (const value of [subject ?? 'none', ...Object.values(extensions)]) expect(value).toMatch(/^[\x21-\x7e]+$/);
      for (const name of Object.keys(extensions)) expect(extensionAttributes).toHaveProperty(name);
    }
  });
});

describe.each(ours.map((definition) => [definition.type, definition] as const))('%s', (_, one) => {
  const paths = pathsIn(one.example);
  const fields = fc.constantFrom(...paths);
  const objects = fc.constantFrom([] as Path, ...paths.filter((path) => isObject(at(one.example, path))));

  it('refuses a field of another type and names it', () => {
    const wrong = fc.oneof(fc.constant([[]]), fc.constant({ a: { b: { c: 1 } } }), fc.constant(Symbol.iterator));
    fc.assert(fc.property(fields, wrong, (path, value) => refusesAt(one, path, value)));
  });

  it('refuses NUL, control characters and half surrogates in every text and names it', () => {
    const texts = fc.constantFrom(...paths.filter((path) => typeof at(one.example, path) === 'string'));
    const bad = fc.constantFrom('\u0000', '\n', '\u001b', '\u2028', '\ud800');
    fc.assert(
      fc.property(texts, bad, (path, piece) => refusesAt(one, path, `${String(at(one.example, path))}${piece}`)),
    );
  });

  it('refuses emoji in everything that is not text for people', () => {
    const names = paths.filter((path) => !['reason', 'text'].includes(String(path.at(-1))));
    const texts = fc.constantFrom(...names.filter((path) => typeof at(one.example, path) === 'string'));
    fc.assert(fc.property(texts, (path) => refusesAt(one, path, `${String(at(one.example, path))}😀`)));
  });

  it('refuses text that is far too long and names it', () => {
    const texts = fc.constantFrom(...paths.filter((path) => typeof at(one.example, path) === 'string'));
    fc.assert(fc.property(texts, (path) => refusesAt(one, path, 'a'.repeat(1001))));
  });

  it('refuses an extra field anywhere and names it, whatever it is called', () => {
    const closed = objects.filter((path) => path.at(-1) !== 'settings');
    const names = fc.constantFrom('extra', 'Name', 'constructor', 'toString', '__proto__', 'ein "Name"', 'a\u0000b');
    fc.assert(fc.property(closed, names, (path, name) => refusesAt(one, [...path, name], { deep: [[[[[]]]]] })));
  });

  it('refuses the data without a required field and names it', () => {
    const required = paths.filter((path) => typeof path.at(-1) === 'string' && !path.includes('settings'));
    for (const path of required) {
      if (path.some((_, end) => isOptional(one, path.slice(0, end + 1)))) continue;
      refusesAt(one, path, undefined);
    }
  });

  it('refuses what is no object at all', () => {
    for (const data of [undefined, null, 1, 'text', true, []]) expect(checkData(one, data).accepted).toBe(false);
  });
});

it('never repeats a refused value in the reason', () => {
  for (const definition of ours) {
    for (const path of pathsIn(definition.example)) {
      const checked = checkData(definition, changed(definition.example as Data, path, 'hunter2 \u0000'));
      expect(checked).not.toMatchObject({ reason: expect.stringContaining('hunter2') });
    }
  }
});

describe('the customer’s settings', () => {
  const definition = provisionRequested;
  const withSettings = (settings: unknown) => checkData(definition, { ...definition.example, settings });

  it('may be text, numbers and booleans', () => {
    expect(withSettings({ a: 'b', c: 1.5, d: true })).toMatchObject({ accepted: true });
  });

  it.each([
    [{ a: Number.POSITIVE_INFINITY }, 'data.settings.a must be a finite number'],
    [{ a: 'b\nadmin_passwd = x' }, 'data.settings.a must be one line of text without control characters'],
    [{ 'a = 1\nb': 1 }, 'data.settings."a = 1\\nb" must be named with a-z, 0-9 and "_"'],
    [{ a: { b: 1 } }, 'data.settings.a must be text or a number or boolean, not of type object'],
    [
      Object.fromEntries(Array.from({ length: 31 }, (_, index) => [`k${index}`, 1])),
      'data.settings must have at most 30',
    ],
  ])('refuses %j', (settings, reason) => {
    expect(withSettings(settings)).toMatchObject({ accepted: false, reason: expect.stringContaining(reason) });
  });
});

it.each(['a"; DROP DATABASE x; --', 'a'.repeat(64), '--host=', '../', 'a\n', 'Acme', '😀', 'a-', '1a', ''])(
  'refuses the instance name %j',
  (name) => {
    const checked = checkData(provisionRequested, { ...provisionRequested.example, name });
    expect(checked).toMatchObject({ accepted: false, reason: expect.stringContaining('data.name must be') });
  },
);

function refusesAt(definition: AnyEventDefinition, path: Path, value: unknown): void {
  const checked = checkData(definition, changed(definition.example as Data, path, value));
  expect(checked.accepted, `${definition.type} accepted ${String(path)}`).toBe(false);
  const name = path.findLast((key) => typeof key === 'string');
  const shown = /^\w+$/.test(String(name)) ? String(name) : JSON.stringify(name);
  expect(checked).toMatchObject({ reason: expect.stringContaining(`${path.length === 1 ? 'data' : ''}.${shown}`) });
}

/** A copy with one value set; `undefined` removes it. Made so that `__proto__` is a key like any other. */
function changed(data: unknown, path: Path, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(data)) return data.with(Number(key), changed(data[Number(key)], rest, value));
  const entries = Object.entries(data as Data).filter(([name]) => name !== key);
  const inner = rest.length > 0 ? changed((data as Data)[String(key)], rest, value) : value;
  return Object.fromEntries(inner === undefined ? entries : [...entries, [key, inner]]);
}

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (!isObject(value) && !Array.isArray(value)) return [path];
  const inner = Object.entries(value).flatMap(([key, one]) => {
    return pathsIn(one, [...path, Array.isArray(value) ? Number(key) : key]);
  });
  return path.length === 0 ? inner : [path, ...inner];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce((inner, key) => (inner as Data)[String(key)], value);
}

/** Whether the schema says that the field at the path may be left out. */
function isOptional(definition: AnyEventDefinition, path: Path): boolean {
  let schema: { type?: string; entries?: Data; item?: unknown; wrapped?: unknown } = definition.schema;
  for (const key of path) {
    if (schema.wrapped !== undefined) schema = schema.wrapped as typeof schema;
    schema = (schema.entries?.[String(key)] ?? schema.item ?? {}) as typeof schema;
  }
  return schema.type === 'optional';
}

function isObject(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
