import { Failure } from '#shared/domain/failure.ts';

const segment = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;
const maxLength = 512;
const maxSegments = 8;

/** @throws Failure `invalid-request` when the key is not one that every object store takes, see `ObjectStore`. */
export function checkKey(key: string): void {
  const segments = key.split('/');
  const isRight =
    key.length <= maxLength && segments.length <= maxSegments && segments.every((one) => segment.test(one));
  if (!isRight) throw refused('An object key', key);
}

/** A prefix is the beginning of a key; the empty one is that of all. @throws Failure `invalid-request`. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  const segments = prefix.split('/');
  const last = segments.pop() ?? '';
  const isRight = segments.every((one) => segment.test(one)) && (last === '' || segment.test(last));
  if (!isRight || prefix.length > maxLength) throw refused('A prefix of object keys', prefix);
}

/** @throws Failure `invalid-request` when an object of that size has no byte there; the beginning is always there. */
export function checkFrom(key: string, { from, size }: { from: number; size: number }): void {
  if (from === 0 || (Number.isSafeInteger(from) && from > 0 && from < size)) return;
  throw new Failure('invalid-request', `The object ${key} has ${size} bytes: none is at ${from}.`);
}

function refused(what: string, text: string): Failure {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  return new Failure(
    'invalid-request',
    `${what} is segments of letters, digits, "-", "_" and "." joined by "/", not ${shown}.`,
  );
}
