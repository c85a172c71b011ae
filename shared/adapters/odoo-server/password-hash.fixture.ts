import { pbkdf2Sync, timingSafeEqual } from 'node:crypto';

/** passlib's check of a `$pbkdf2-sha512$` hash, written from its documentation. */
export function verifyOdooPassword(password: string, hash: string): boolean {
  const [, scheme, rounds, salt, checksum] = hash.split('$');
  if (scheme !== 'pbkdf2-sha512' || salt === undefined || checksum === undefined) return false;
  const bytes = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64');
  const wanted = bytes(checksum);
  const found = pbkdf2Sync(password, bytes(salt), Number(rounds), wanted.length, 'sha512');
  return wanted.length === 64 && timingSafeEqual(found, wanted);
}
