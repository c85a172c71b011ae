import { createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { CompactSign, calculateJwkThumbprint, UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson, hashOfData } from './canonical-json.ts';
import { type SignedParts, signEvent, verifySignature } from './signature.ts';
import { makeKeyPair, readPrivateKey, readPublicKey, type SignatureKey } from './signature-keys.ts';

const data = { instance: 'abcdefgh2345', reason: 'Größe', nested: { b: 1, a: [true, null] } };
const event: SignedParts = { id: 'id-1', source: 'urn:billing', type: 'some.type', dataHash: hashOfData(data) };
const keysOf = (...publicKeys: string[]) =>
  new Map(publicKeys.map((text) => readPublicKey(text)).map((key): [string, SignatureKey] => [key.keyId, key]));

const pair = makeKeyPair();
const other = makeKeyPair();
const elliptic = makeKeyPair('ES256');
let signature: string;
beforeAll(async () => {
  signature = await signEvent(event, readPrivateKey(pair.privateKey));
});

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const payload = canonicalJson({
  datahash: event.dataHash.toString('base64url'),
  id: event.id,
  source: event.source,
  type: event.type,
});

describe('a signature', () => {
  it.each([
    ['Ed25519', pair, 'EdDSA'],
    ['P-256', elliptic, 'ES256'],
  ])('of a %s key is verified by its public half', async (_, { privateKey, publicKey, keyId }, alg) => {
    const made = await signEvent(event, readPrivateKey(privateKey));
    expect(JSON.parse(Buffer.from(made.split('..')[0] ?? '', 'base64url').toString())).toEqual({ alg, kid: keyId });
    expect(await verifySignature(event, made, keysOf(publicKey))).toEqual({ valid: true, keyId });
  });

  it('is what any JWS library makes of the payload: the documented format', async () => {
    const compact = await new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: 'EdDSA', kid: pair.keyId })
      .sign(readPrivateKey(pair.privateKey).key);
    const [header, , value] = compact.split('.');
    expect(`${header}..${value}`).toBe(signature);
  });

  it('holds whatever order and blanks the data was sent with', async () => {
    const dataHash = hashOfData({ reason: 'Größe', nested: { a: [true, null], b: 1.0 }, instance: 'abcdefgh2345' });
    expect(await verifySignature({ ...event, dataHash }, signature, keysOf(pair.publicKey))).toMatchObject({
      valid: true,
    });
  });

  it.each<[string, Partial<SignedParts>]>([
    ['id', { id: 'id-2' }],
    ['source', { source: 'urn:other' }],
    ['type', { type: 'other.type' }],
    ['data', { dataHash: hashOfData({ ...data, instance: 'abcdefgh2346' }) }],
    ['data (none at all)', { dataHash: hashOfData(undefined) }],
    ['boundary between id and source', { id: 'id-1","source":"urn:billing', source: '' }],
  ])('does not hold for another %s', async (_, change) => {
    expect(await verifySignature({ ...event, ...change }, signature, keysOf(pair.publicKey))).toEqual({
      valid: false,
      reason: 'it was not made for this id, source, type and data by that key',
    });
  });

  it('does not hold by the key of somebody else', async () => {
    expect(await verifySignature(event, signature, keysOf(other.publicKey))).toEqual({
      valid: false,
      reason: 'its key is not one of this source',
    });
    const renamed = new Map([[pair.keyId, readPublicKey(other.publicKey, { keyId: pair.keyId })]]);
    expect(await verifySignature(event, signature, renamed)).toMatchObject({ valid: false });
  });

  it('holds by either of two live keys, until one is taken away', async () => {
    const newer = await signEvent(event, readPrivateKey(other.privateKey));
    const both = keysOf(pair.publicKey, other.publicKey);
    expect(await verifySignature(event, signature, both)).toEqual({ valid: true, keyId: pair.keyId });
    expect(await verifySignature(event, newer, both)).toEqual({ valid: true, keyId: other.keyId });
    expect(await verifySignature(event, signature, keysOf(other.publicKey))).toMatchObject({ valid: false });
  });

  it('of algorithm none is refused', async () => {
    const header = base64url({ alg: 'none', kid: pair.keyId });
    expect(await verifySignature(event, `${header}..`, keysOf(pair.publicKey))).toMatchObject({ valid: false });
    const [unsecured] = new UnsecuredJWT({}).encode().split('.');
    expect(await verifySignature(event, `${unsecured}..`, keysOf(pair.publicKey))).toMatchObject({ valid: false });
  });

  it('by HMAC with the public key as the secret is refused', async () => {
    const header = base64url({ alg: 'HS256', kid: pair.keyId });
    const input = `${header}.${Buffer.from(payload).toString('base64url')}`;
    const secrets = [pair.publicKey, createPublicKey(pair.publicKey).export({ type: 'spki', format: 'der' })];
    for (const secret of secrets) {
      const forged = `${header}..${createHmac('sha256', secret).update(input).digest('base64url')}`;
      expect(await verifySignature(event, forged, keysOf(pair.publicKey))).toEqual({
        valid: false,
        reason: 'its algorithm is not the one of its key',
      });
    }
  });

  it('whose header says the algorithm of another kind of key is refused', async () => {
    const header = base64url({ alg: 'ES256', kid: pair.keyId });
    const value = signature.split('..')[1];
    expect(await verifySignature(event, `${header}..${value}`, keysOf(pair.publicKey))).toEqual({
      valid: false,
      reason: 'its algorithm is not the one of its key',
    });
  });

  it('cannot bring its own key along', async () => {
    const jwk = readPublicKey(other.publicKey).key.export({ format: 'jwk' });
    const compact = await new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: 'EdDSA', jwk: jwk as Record<string, string>, kid: pair.keyId })
      .sign(readPrivateKey(other.privateKey).key);
    const [header, , value] = compact.split('.');
    expect(await verifySignature(event, `${header}..${value}`, keysOf(pair.publicKey))).toMatchObject({ valid: false });
  });

  it.each([
    [''],
    ['..'],
    ['x'],
    ['a.b'],
    ['....'],
    ['!!..!!'],
    [`${base64url({ alg: 'EdDSA' })}..AAAA`],
    [`${base64url({ alg: 'EdDSA', kid: 7 })}..AAAA`],
    [`${base64url({ alg: 'EdDSA', kid: 'constructor' })}..AAAA`],
    [`${base64url({ alg: 'EdDSA', kid: pair.keyId, b64: false, crit: ['b64'] })}..AAAA`],
    [`${base64url({ alg: 'EdDSA', kid: pair.keyId, crit: ['exp'] })}..AAAA`],
    [`${base64url([])}..AAAA`],
    [`${base64url(null)}..AAAA`],
    [randomUUID()],
  ])('that reads %j is refused', async (text) => {
    expect(await verifySignature(event, text, keysOf(pair.publicKey))).toMatchObject({ valid: false });
  });

  it('with its payload inside is refused', async () => {
    const attached = signature.replace('..', `.${Buffer.from(payload).toString('base64url')}.`);
    expect(await verifySignature(event, attached, keysOf(pair.publicKey))).toMatchObject({ valid: false });
  });
});

describe('a key', () => {
  it('is called by its RFC 7638 thumbprint unless it has a name, the same for both halves', async () => {
    for (const { privateKey, publicKey, keyId } of [pair, elliptic]) {
      const jwk = readPublicKey(publicKey).key.export({ format: 'jwk' });
      expect(keyId).toBe(await calculateJwkThumbprint(jwk as Record<string, string>));
      expect(readPrivateKey(privateKey).keyId).toBe(keyId);
    }
    const named = { ...readPrivateKey(pair.privateKey).key.export({ format: 'jwk' }), kid: 'billing-2026' };
    expect(readPrivateKey(JSON.stringify(named)).keyId).toBe('billing-2026');
    expect(readPublicKey(pair.publicKey, { keyId: 'x' }).keyId).toBe('x');
  });

  it('may be a JWK', async () => {
    const jwk = readPublicKey(pair.publicKey).key.export({ format: 'jwk' });
    expect(await verifySignature(event, signature, keysOf(JSON.stringify(jwk)))).toMatchObject({ valid: true });
  });

  it.each([
    ['a private PEM', pair.privateKey, 'private or shared key'],
    [
      'a private JWK',
      JSON.stringify(readPrivateKey(pair.privateKey).key.export({ format: 'jwk' })),
      'private or shared key',
    ],
    ['a shared secret', '{"kty":"oct","k":"c2VjcmV0"}', 'private or shared key'],
    ['an odd text', 'c2VjcmV0', 'neither a PEM public key nor a JWK'],
    ['half a PEM', pair.publicKey.slice(0, 60), 'can be read'],
    ['half a JWK', '{"kty":', 'can be read'],
    ['null', '{}', 'can be read'],
  ])('is refused to verify with when it is %s, without quoting it', (_, text, reason) => {
    expect(() => readPublicKey(text)).toThrow(reason);
  });

  it('of another kind is refused', () => {
    const ed448 =
      '{"kty":"OKP","crv":"Ed448","x":"X9dEm1m0Yf0s54fsYWrUah2hNCSFpw4fig6nXYDpZ3jt8SR2m0bHBhvWeD3x5Q9s0foavq_oJWGA"}';
    expect(() => readPublicKey(ed448)).toThrow('neither an Ed25519 nor a P-256 key');
    expect(() => readPublicKey(pair.publicKey, { keyId: 'a b' })).toThrow('its id is not');
    expect(() => readPrivateKey(pair.publicKey)).toThrow('can be read');
  });
});
