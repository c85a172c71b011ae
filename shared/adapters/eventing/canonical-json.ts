import { Failure } from '#shared/domain/failure.ts';

/**
 * JSON with sorted keys and no blanks: the same text for the same data, however it was written.
 * @throws Failure `invalid-event` for what cannot be told apart or kept: nesting deeper than `maxDepth`, numbers that
 * JSON cannot write again (`1e999`), halves of surrogate pairs.
 */
export function canonicalJson(value: unknown, options: { maxDepth: number }): string {
  return write(value, 0, options.maxDepth);
}

function write(value: unknown, depth: number, maxDepth: number): string {
  if (typeof value === 'string') return writeText(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused('holds a number that is too large');
    return JSON.stringify(value);
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (depth >= maxDepth) throw refused(`is nested deeper than ${maxDepth} levels`);
  if (Array.isArray(value)) return `[${value.map((one) => write(one, depth + 1, maxDepth)).join(',')}]`;
  let members = '';
  for (const key of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[key];
    members += `${members === '' ? '' : ','}${writeText(key)}:${write(member, depth + 1, maxDepth)}`;
  }
  return `{${members}}`;
}

function writeText(text: string): string {
  // a hash of UTF-8 would make all halves the same
  if (!text.isWellFormed()) throw refused('holds half of a surrogate pair');
  return JSON.stringify(text);
}

function refused(what: string): Failure {
  return new Failure('invalid-event', `data ${what}.`, { facts: { attribute: 'data' } });
}
