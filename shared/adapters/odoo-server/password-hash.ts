import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * Odoo 19 itself takes 600,000 rounds, 0.3 s of processor time, because people choose weak passwords. Ours have more
 * than 128 random bits, which no number of rounds makes harder to guess, and provisioning waits for this hash.
 * Odoo accepts fewer rounds and hashes again with its own number at the first login (passlib's verify_and_update).
 */
const rounds = 25_000;
const saltBytes = 16;
const checksumBytes = 64;

/**
 * A random password as Odoo stores it, both in `res_users.password` and for `admin_passwd` in odoo.conf:
 * passlib's `$pbkdf2-sha512$<rounds>$<salt>$<checksum>`. Not for passwords that a person chose.
 */
export async function hashOdooPassword(password: string, salt: Buffer = randomBytes(saltBytes)): Promise<string> {
  const checksum = await promisify(pbkdf2)(password, salt, rounds, checksumBytes, 'sha512');
  return `$pbkdf2-sha512$${rounds}$${adaptedBase64(salt)}$${adaptedBase64(checksum)}`;
}

/** passlib's ab64: `.` instead of `+`, no padding. */
function adaptedBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '.').replace(/=+$/, '');
}
