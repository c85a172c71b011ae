import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

/** How long a link shows the first password. */
export const firstLoginHours = 24;

/** What the link shows. */
export type FirstLogin = { url: string; login: string; password: string };

/** A link's token, and what is kept: its hash, and what only the token opens. Whoever reads the records can open nothing. */
export type SealedLogin = { token: string; tokenSha256: Buffer; sealed: Buffer };

const algorithm = 'aes-256-gcm';
const [nonceBytes, tagBytes] = [12, 16];
const tokenPattern = /^[A-Za-z0-9_-]{43}$/;

/** Seals for a new token of 32 random bytes; the instance's id is bound to it. */
export function sealFirstLogin(login: FirstLogin, instanceId: string): SealedLogin {
  const token = randomBytes(32);
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, keyOf(token), nonce).setAAD(Buffer.from(instanceId));
  const text = Buffer.concat([cipher.update(JSON.stringify(login)), cipher.final()]);
  return {
    token: token.toString('base64url'),
    tokenSha256: createHash('sha256').update(token).digest(),
    sealed: Buffer.concat([nonce, text, cipher.getAuthTag()]),
  };
}

/** What a token is found by; undefined for what is no token. */
export function hashOfToken(token: string): Buffer | undefined {
  return tokenPattern.test(token) ? createHash('sha256').update(Buffer.from(token, 'base64url')).digest() : undefined;
}

/** undefined when the token, the instance or the bytes are others. */
export function openFirstLogin(
  { token, sealed }: Pick<SealedLogin, 'token' | 'sealed'>,
  instanceId: string,
): FirstLogin | undefined {
  try {
    const decipher = createDecipheriv(
      algorithm,
      keyOf(Buffer.from(token, 'base64url')),
      sealed.subarray(0, nonceBytes),
      { authTagLength: tagBytes },
    )
      .setAAD(Buffer.from(instanceId))
      .setAuthTag(sealed.subarray(-tagBytes));
    const text = Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    return JSON.parse(text.toString()) as FirstLogin;
  } catch {
    return undefined;
  }
}

function keyOf(token: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', token, '', 'odoo-fleet first login', 32));
}
