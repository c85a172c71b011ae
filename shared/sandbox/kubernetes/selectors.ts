import type { Json } from './json.ts';
import { isObject } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { labelsOf } from './objects.ts';
import type { Resource } from './resources.ts';
import { badRequest } from './status.ts';

export type Selector = (object: KubernetesObject) => boolean;

type Requirement = { key: string; operator: 'in' | 'notin' | 'exists' | 'absent'; values: string[] };

const labelKey = /^([a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?\/)?[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
const labelValue = /^([a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?$/;

/**
 * A label selector: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, joined by commas.
 * `!=` and `notin` also select objects without the label.
 */
export function labelSelector(text: string): Selector {
  const requirements = splitOutsideBrackets(text).map((part) => parseRequirement(part, text));
  return (object) => {
    const labels = labelsOf(object);
    return requirements.every((it) => fulfils(labels[it.key], it));
  };
}

function fulfils(value: Json | undefined, { operator, values }: Requirement): boolean {
  const isThere = typeof value === 'string';
  if (operator === 'exists') return isThere;
  if (operator === 'absent') return !isThere;
  const isListed = isThere && values.includes(value);
  return operator === 'in' ? isListed : !isListed;
}

function splitOutsideBrackets(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part, _index, parts) => part !== '' || parts.length > 1);
}

function parseRequirement(part: string, whole: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set)
    return checked(
      set[1],
      set[2] as 'in' | 'notin',
      (set[3] ?? '').split(',').map((it) => it.trim()),
      whole,
    );
  const comparison = /^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$/.exec(part);
  if (comparison) return checked(comparison[1], comparison[2] === '!=' ? 'notin' : 'in', [comparison[3] ?? ''], whole);
  const absent = /^!\s*(\S+)$/.exec(part);
  if (absent) return checked(absent[1], 'absent', [], whole);
  return checked(part, 'exists', [], whole);
}

function checked(
  key: string | undefined,
  operator: Requirement['operator'],
  values: string[],
  whole: string,
): Requirement {
  if (key === undefined || !labelKey.test(key) || !values.every((value) => labelValue.test(value))) {
    throw badRequest(`unable to parse requirement: ${JSON.stringify(whole)} is not a label selector`);
  }
  return { key, operator, values };
}

/** A field selector: `path=value`, `path==value`, `path!=value`, joined by commas, for the fields the resource supports. */
export function fieldSelector(text: string, resource: Resource): Selector {
  const parts = text.split(',').filter((part) => part !== '');
  const terms = parts.map((part) => {
    const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(part);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    const field = match[1] ?? '';
    if (!isSelectable(field, resource)) throw badRequest(`field label not supported: ${field}`);
    return { path: field.split('.'), isEqual: match[2] !== '!=', value: match[3] ?? '' };
  });
  return (object) => terms.every((it) => (fieldText(object, it.path) === it.value) === it.isEqual);
}

function isSelectable(field: string, resource: Resource): boolean {
  if (field === 'metadata.name') return true;
  return (field === 'metadata.namespace' && resource.isNamespaced) || resource.fieldSelectors.includes(field);
}

function fieldText(object: KubernetesObject, path: string[]): string {
  let value: Json | undefined = object;
  for (const field of path) value = isObject(value) ? value[field] : undefined;
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
