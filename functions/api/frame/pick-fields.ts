import { invalidRequest } from '../problem.ts';
import type { Route } from '../route.ts';

/** The names of `fields=a,b`; undefined when everything is wanted. @throws Failure `invalid-request`. */
export function fieldsOf(text: string | undefined, fields: Route['fields']): readonly string[] | undefined {
  if (text === undefined) return undefined;
  if (fields === undefined) throw invalidRequest([{ field: 'query.fields', detail: 'Nothing can be left out here.' }]);
  const names = text.split(',');
  const unknown = names.filter((name) => !fields.names.includes(name));
  if (unknown.length === 0) return names;
  throw invalidRequest([{ field: 'query.fields', detail: `Choose from ${fields.names.join(', ')}.` }]);
}

/** The body with only those names, in it or in each of its items. */
export function pickFields(body: unknown, names: readonly string[], of: 'body' | 'items'): unknown {
  if (of === 'body') return picked(body as object, names);
  const { items, ...rest } = body as { items: readonly object[] };
  return { items: items.map((item) => picked(item, names)), ...rest };
}

function picked(whole: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(whole).filter(([name]) => names.includes(name)));
}
