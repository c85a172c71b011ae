import { randomBytes } from 'node:crypto';

/** 192 random bits in letters, digits, `-` and `_`: safe unquoted in URLs, configuration files and SQL literals. */
export function generatePassword(): string {
  return randomBytes(24).toString('base64url');
}
