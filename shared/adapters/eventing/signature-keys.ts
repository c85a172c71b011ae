import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { Failure } from '#shared/domain/failure.ts';
import { canonicalJson } from './canonical-json.ts';

/**
 * The algorithms an event may be signed with, by RFC 7518 and RFC 8037. A fixed list: `none` and HMAC, which would take a
 * public key for a shared secret, are not on it. Which of them a key is for follows from the key, never from the sender.
 */
export const signatureAlgorithms = ['EdDSA', 'ES256'] as const;
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** Half of a key pair, with the name (`kid`) its signatures carry. */
export type SignatureKey = { readonly keyId: string; readonly algorithm: SignatureAlgorithm; readonly key: KeyObject };

/** What a key may be called. */
export const keyIdPattern = /^[A-Za-z0-9._~-]{1,64}$/;

/** Reads a key to verify with: SPKI PEM (`BEGIN PUBLIC KEY`) or a JWK. @throws Failure `invalid-request` that says what is wrong. */
export function readPublicKey(text: string, options: { keyId?: string } = {}): SignatureKey {
  const jwk = jwkOf(text);
  const holdsPrivateKey = jwk === undefined ? text.includes('PRIVATE KEY') : 'd' in jwk || 'k' in jwk;
  if (holdsPrivateKey) throw wrongKey('it is a private or shared key; only the public half belongs here');
  if (jwk === undefined && !text.includes('BEGIN PUBLIC KEY'))
    throw wrongKey('it is neither a PEM public key nor a JWK');
  const key = decoded(() => createPublicKey(jwk === undefined ? text : { key: jwk, format: 'jwk' }));
  return named(key, { jwk, keyId: options.keyId });
}

/** Reads a key to sign with: PKCS8 PEM (`BEGIN PRIVATE KEY`) or a private JWK. @throws Failure `invalid-request`; it never quotes the key. */
export function readPrivateKey(text: string): SignatureKey {
  const jwk = jwkOf(text);
  const key = decoded(() => createPrivateKey(jwk === undefined ? text : { key: jwk, format: 'jwk' }));
  return named(key, { jwk, keyId: undefined });
}

/** A new pair. The private half is PKCS8 PEM, the public half SPKI PEM. */
export function makeKeyPair(algorithm: SignatureAlgorithm = 'EdDSA'): {
  keyId: string;
  privateKey: string;
  publicKey: string;
} {
  const { privateKey, publicKey } =
    algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    keyId: thumbprintOf(publicKey),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** The name is the given one, else the JWK's `kid`, else the thumbprint: the same for both halves of a pair. */
function named(key: KeyObject, given: { jwk: JsonWebKey | undefined; keyId: string | undefined }): SignatureKey {
  const algorithm = algorithmOf(key);
  const kid = given.jwk?.['kid'];
  const keyId = given.keyId ?? (typeof kid === 'string' ? kid : thumbprintOf(key));
  if (!keyIdPattern.test(keyId)) throw wrongKey('its id is not 1 to 64 letters, digits, ".", "_", "~" or "-"');
  return { keyId, algorithm, key };
}

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw wrongKey('it is neither an Ed25519 nor a P-256 key');
}

/** RFC 7638: sha256 of the members that make the public key, sorted and without blanks. */
function thumbprintOf(key: KeyObject): string {
  const { crv, kty, x, y } = key.export({ format: 'jwk' });
  const members = y === undefined ? { crv, kty, x } : { crv, kty, x, y };
  return hash('sha256', canonicalJson(members), 'base64url');
}

function jwkOf(text: string): JsonWebKey | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  return decoded(() => JSON.parse(text) as JsonWebKey);
}

function decoded<Value>(decode: () => Value): Value {
  try {
    return decode();
  } catch {
    // not as a cause: messages of parsers quote what they read
    throw wrongKey('it is no PEM or JWK of a key that can be read');
  }
}

function wrongKey(what: string): Failure {
  return new Failure('invalid-request', `The key cannot be used for signatures: ${what}.`);
}
