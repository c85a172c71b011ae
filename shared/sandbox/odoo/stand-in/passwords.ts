import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** What Odoo 19 asks for (`MIN_ROUNDS` in res_users.py): a hash of fewer rounds is accepted and replaced at the next login. */
const ROUNDS = 600_000;

/** A hash in the format of passlib's pbkdf2_sha512. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `$pbkdf2-sha512$${ROUNDS}$${encode(salt)}$${encode(await derive(password, salt, ROUNDS))}`;
}

/** Odoo's rule: pbkdf2_sha512, or the plain text, which is deprecated; `isOld` when the hash is to be replaced. */
export async function verifyPassword(password: string, stored: string): Promise<{ isRight: boolean; isOld: boolean }> {
  const [, rounds, salt, checksum] = /^\$pbkdf2-sha512\$(\d+)\$([\w./]*)\$([\w./]+)$/.exec(stored) ?? [];
  if (rounds === undefined || salt === undefined || checksum === undefined) {
    return { isRight: isEqual(Buffer.from(password), Buffer.from(stored)), isOld: true };
  }
  const derived = await derive(password, decode(salt), Number(rounds));
  return { isRight: isEqual(derived, decode(checksum)), isOld: Number(rounds) < ROUNDS };
}

function derive(password: string, salt: Buffer, rounds: number): Promise<Buffer> {
  return promisify(pbkdf2)(password, salt, rounds, 64, 'sha512');
}

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** passlib's "adapted base64": `.` for `+`, and no padding. */
function encode(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '.').replace(/=+$/, '');
}

function decode(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64');
}
