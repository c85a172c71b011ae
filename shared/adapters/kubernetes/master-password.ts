import { createHmac, pbkdf2Sync } from 'node:crypto';

/**
 * Passlib gives a person's password 600 000 rounds. The master password is 144 random bits, which no number of rounds makes harder to
 * guess, and the hash is worked out at every look: this takes about a millisecond.
 */
const rounds = 1000;

/**
 * The master password as Odoo's passlib reads it, `$pbkdf2-sha512$…`. The same for every call, as odoo.conf must not change by
 * being written again: the salt comes from the password and the instance. The password must be random.
 */
export function masterPasswordHash(masterPassword: string, instanceId: string): string {
  const salt = createHmac('sha256', masterPassword)
    .update(`odoo master password ${instanceId}`)
    .digest()
    .subarray(0, 16);
  const checksum = pbkdf2Sync(masterPassword, salt, rounds, 64, 'sha512');
  return `$pbkdf2-sha512$${rounds}$${adapted(salt)}$${adapted(checksum)}`;
}

/** Passlib's own base64: `.` for `+`, no padding. */
function adapted(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '.').replaceAll('=', '');
}
