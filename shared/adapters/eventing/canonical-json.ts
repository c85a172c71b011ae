import { hash } from 'node:crypto';
import { Failure } from '#shared/domain/failure.ts';

/**
 * Refuses parsed JSON that cannot be told apart or kept: nesting deeper than `maxDepth`, numbers that JSON cannot write
 * again (`1e999`), halves of surrogate pairs (a hash of UTF-8 would make them all the same, PostgreSQL refuses them).
 * @throws Failure `invalid-event`.
 */
export function checkJson(value: unknown, options: { maxDepth: number }): void {
  check(value, 0, options.maxDepth);
}

function check(value: unknown, depth: number, maxDepth: number): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw refused('holds half of a surrogate pair');
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused('holds a number that is too large');
  } else if (typeof value === 'object' && value !== null) {
    if (depth >= maxDepth) throw refused(`is nested deeper than ${maxDepth} levels`);
    if (Array.isArray(value)) for (const one of value) check(one, depth + 1, maxDepth);
    else checkMembers(value as Record<string, unknown>, depth, maxDepth);
  }
}

function checkMembers(value: Record<string, unknown>, depth: number, maxDepth: number): void {
  for (const key in value) {
    if (!key.isWellFormed()) throw refused('holds half of a surrogate pair');
    check(value[key], depth + 1, maxDepth);
  }
}

function refused(what: string): Failure {
  return new Failure('invalid-event', `data ${what}.`, { facts: { attribute: 'data' } });
}

/** JSON with sorted keys and no blanks: the same text for the same data, however it was written. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  let members = '';
  for (const key of Object.keys(value).sort()) {
    const member = canonicalJson((value as Record<string, unknown>)[key]);
    members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${member}`;
  }
  return `{${members}}`;
}

/** sha256 of the canonical JSON of an event's data: what the inbox compares and signatures cover. No data: of nothing. */
export function hashOfData(data: unknown): Buffer {
  return hash('sha256', data === undefined ? '' : canonicalJson(data), 'buffer');
}
