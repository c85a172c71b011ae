const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A letter of lower-case base32 for each byte, of which five bits count: what random bytes make is as random. */
export function base32Text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => alphabet.charAt(byte & 31)).join('');
}
