import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { base32Text } from '../base32-text.ts';
import type { Role, Scope } from './principal.ts';

/** An API key as records keep it: never the key itself. */
export type ApiKey = {
  id: string;
  /** What its owner calls it. */
  name: string;
  /** Of the 32 random bytes: nothing that could be guessed, so one round of a plain hash is enough. */
  secretSha256: Buffer;
  role: Role;
  customerId: string | null;
  scopes: readonly Scope[];
  createdAt: Date;
  createdBy: string;
  expiresAt: Date;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
};

/** The two parts of what its holder shows. */
export type ShownKey = { id: string; secretSha256: Buffer };

/** The first word lets scanners of sources and logs know one when they see it. */
const pattern = /^fleet_([a-z2-7]{16})_([A-Za-z0-9_-]{43})$/;

/** A new key: `fleet_<id>_<secret>`. `text` is shown once and kept nowhere. */
export function makeApiKey(): ShownKey & { text: string } {
  const id = base32Text(randomBytes(16));
  const secret = randomBytes(32).toString('base64url');
  return { id, secretSha256: digestOf(secret), text: `fleet_${id}_${secret}` };
}

/** Undefined when the text has not the form of a key. */
export function readApiKey(text: string): ShownKey | undefined {
  const [, id, secret] = pattern.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secretSha256: digestOf(secret) };
}

/** Does it look like a key of ours, right or not? */
export function isApiKey(text: string): boolean {
  return text.startsWith('fleet_');
}

/** In the same time whatever is compared, also with a key that is not there. */
export function isSecretOf(key: Pick<ApiKey, 'secretSha256'> | undefined, shown: ShownKey): boolean {
  const isEqual = timingSafeEqual(key?.secretSha256 ?? Buffer.alloc(32), shown.secretSha256);
  return isEqual && key !== undefined;
}

/** Why a key that was shown rightly may not be used; undefined when it may. */
export function whyUnusable(key: Pick<ApiKey, 'expiresAt' | 'revokedAt'>, now: Date): string | undefined {
  if (key.revokedAt !== null) return 'The API key was revoked. Make a new one.';
  if (key.expiresAt <= now) return 'The API key has expired. Make a new one.';
  return undefined;
}

function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
