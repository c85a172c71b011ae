import * as v from 'valibot';

/** Parsed data, or the reason for its refusal: one sentence that names every broken field by its path. */
export type CheckedData<Data> = { accepted: true; data: Data } | { accepted: false; reason: string };

// More than this helps nobody, and the reason is stored in a row.
const maxReasons = 8;
const maxPathLength = 120;

/** Checks data against the schema of its event. Values are never repeated in the reason; they may be secrets. */
export function checkData<Schema extends v.GenericSchema>(
  definition: { readonly schema: Schema },
  data: unknown,
): CheckedData<v.InferOutput<Schema>> {
  const result = v.safeParse(definition.schema, data);
  if (result.success) return { accepted: true, data: result.output };
  const reasons = result.issues.map((issue) => `${pathOf(issue)} ${complaintOf(issue)}`);
  const listed = [...new Set(reasons)].slice(0, maxReasons).join('; ');
  const more = reasons.length > maxReasons ? `; and ${reasons.length - maxReasons} more` : '';
  return { accepted: false, reason: listed + more };
}

/** `data.owner.email`, `data.modules[3]`; names that are no plain identifiers are quoted. */
function pathOf(issue: v.BaseIssue<unknown>): string {
  const keys = (issue.path ?? []).map((item) => item.key);
  const path = keys.map((key) => (typeof key === 'number' ? `[${key}]` : `.${shownKey(key)}`)).join('');
  return `data${path.length > maxPathLength ? `${path.slice(0, maxPathLength)}…` : path}`;
}

function shownKey(key: unknown): string {
  const name = String(key);
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : JSON.stringify(name.slice(0, 40));
}

function complaintOf(issue: v.BaseIssue<unknown>): string {
  if (issue.kind === 'validation') return issue.message;
  if (issue.expected === 'never') return 'is not a known field';
  const last = issue.path?.at(-1);
  if (last?.origin === 'key') {
    return issue.received === 'undefined' ? 'is missing' : 'is not an allowed name';
  }
  const isOtherWord = issue.type === 'picklist' && typeof issue.input === 'string';
  return `must be ${wanted(issue.expected)}${isOtherWord ? '' : `, not ${kindOf(issue.input)}`}`;
}

const articles: Record<string, string> = { Object: 'an object', Array: 'a list', string: 'text', number: 'a number' };

/** valibot says `Object`, or `(string | number)` for a union. */
function wanted(expected: string | null): string {
  const names = (expected ?? 'something else').replace(/^\((.*)\)$/, '$1').split(' | ');
  return names.map((name) => articles[name] ?? name).join(' or ');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'absent';
  return Array.isArray(value) ? 'a list' : `of type ${typeof value}`;
}
