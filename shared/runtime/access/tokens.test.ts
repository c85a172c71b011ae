import { createHmac, generateKeyPairSync } from 'node:crypto';
import { createLocalJWKSet, exportJWK, exportSPKI, generateKeyPair, type JWTVerifyGetKey, SignJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { tokenVerifier } from './tokens.ts';

const issuer = 'https://id.example';
const audience = 'odoo-fleet';
const start = new Date('2027-01-01T12:00:00Z');
const claims = { role: 'customer', customer_id: 'acme' };

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;
let pair: Pair;
let stranger: Pair;
let rsa: Pair;
let keys: JWTVerifyGetKey;
let lookUps: number;
let now: Date;

beforeAll(async () => {
  pair = await generateKeyPair('ES256', { extractable: true });
  stranger = await generateKeyPair('ES256', { extractable: true });
  rsa = await generateKeyPair('RS256', { extractable: true });
  const set = createLocalJWKSet({
    keys: [
      { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' },
      { ...(await exportJWK(rsa.publicKey)), kid: 'r1' },
    ],
  });
  keys = (header, token) => {
    lookUps += 1;
    return set(header, token);
  };
});

const verifier = () => {
  lookUps = 0;
  now = start;
  return tokenVerifier({ issuer, audience, key: keys, now: () => now });
};

const seconds = (date: Date) => Math.floor(date.getTime() / 1_000);

function token(change: (jwt: SignJWT) => SignJWT = (jwt) => jwt, header = { alg: 'ES256', kid: 'k1' }, key = pair) {
  const jwt = new SignJWT(claims)
    .setProtectedHeader(header)
    .setSubject('user-1')
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(seconds(start))
    .setExpirationTime(seconds(start) + 600);
  return change(jwt).sign(key.privateKey);
}

/** A token made by hand: the library refuses to. */
function forged(header: object, sign: (input: string) => string, payload: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = { ...claims, sub: 'user-1', iss: issuer, aud: audience, exp: seconds(start) + 600, ...payload };
  const input = `${part(header)}.${part(body)}`;
  return `${input}.${sign(input)}`;
}

const refusedAs = async (text: string, verify = verifier()) => {
  const caught: unknown = await verify(text).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(caught instanceof Failure)) throw new Error('it was taken, or failed otherwise', { cause: caught });
  return { code: caught.code, text: caught.message };
};

describe('a token', () => {
  test('of the issuer, for this audience, says who asks', async () => {
    expect(await verifier()(await token())).toMatchObject({ kind: 'user', id: 'user-1', customerId: 'acme' });
    expect(await verifier()(await token(undefined, { alg: 'RS256', kid: 'r1' }, rsa))).toMatchObject({ id: 'user-1' });
  });

  test.each([
    ['that has expired', () => token((jwt) => jwt.setExpirationTime(seconds(start) - 31)), 'expired'],
    ['that is not valid yet', () => token((jwt) => jwt.setNotBefore(seconds(start) + 31)), 'not valid yet'],
    ['for another audience', () => token((jwt) => jwt.setAudience('shop')), 'for another audience'],
    ['of another issuer', () => token((jwt) => jwt.setIssuer('https://evil.example')), 'of another issuer'],
    ['signed by a stranger', () => token(undefined, undefined, stranger), 'not signed by the issuer'],
    ['with an unknown kid', () => token(undefined, { alg: 'ES256', kid: 'k9' }), 'does not publish'],
    ['with the algorithm of no key', () => token(undefined, { alg: 'RS256', kid: 'k1' }, rsa), 'does not publish'],
    ['that is no token', async () => 'not.a.token', 'no token that can be read'],
    ['that is one word', async () => 'x', 'no token that can be read'],
    ['without end', async () => forged({ alg: 'ES256', kid: 'k1' }, () => 'AAAA'), 'not signed by the issuer'],
    ['that is endless', async () => 'a'.repeat(8_193), 'longer than 8 KiB'],
  ])('%s is refused, and says why', async (_which, make, why) => {
    const refused = await refusedAs(await make());
    expect(refused.code).toBe('unauthenticated');
    expect(refused.text).toContain(why);
  });

  test('is taken for a moment after its end and before its beginning: clocks differ', async () => {
    expect(await verifier()(await token((jwt) => jwt.setExpirationTime(seconds(start) - 29)))).toBeDefined();
    expect(await verifier()(await token((jwt) => jwt.setNotBefore(seconds(start) + 29)))).toBeDefined();
  });

  test.each(['none', 'None', 'NONE', 'nOnE'])('with the algorithm "%s" is refused', async (alg) => {
    for (const signature of ['', 'AAAA'])
      expect(await refusedAs(forged({ alg, kid: 'k1' }, () => signature))).toMatchObject({ code: 'unauthenticated' });
  });

  test('signed with the public key as if it were a shared secret is refused', async () => {
    for (const [{ publicKey }, kid] of [
      [pair, 'k1'],
      [rsa, 'r1'],
    ] as const) {
      const secret = await exportSPKI(publicKey);
      const signed = (input: string) => createHmac('sha256', secret).update(input).digest('base64url');
      const { code, text } = await refusedAs(forged({ alg: 'HS256', kid }, signed));
      expect([code, text]).toEqual(['unauthenticated', expect.stringContaining('an algorithm that is not one of')]);
    }
  });

  test('that brings its own key along is not believed', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const header = { alg: 'ES256', kid: 'k1', jwk: publicKey.export({ format: 'jwk' }), jku: 'http://evil.example' };
    const jwt = new SignJWT(claims).setProtectedHeader(header).setSubject('user-1').setIssuer(issuer);
    const text = await jwt
      .setAudience(audience)
      .setExpirationTime(seconds(start) + 600)
      .sign(privateKey);
    expect(await refusedAs(text)).toMatchObject({ code: 'unauthenticated' });
  });

  test('without an end, or without a subject, is refused', async () => {
    const noEnd = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setSubject('user-1')
      .setIssuer(issuer)
      .setAudience(audience)
      .sign(pair.privateKey);
    expect((await refusedAs(noEnd)).text).toContain('without an end');
    expect((await refusedAs(await token((jwt) => jwt.setSubject('')))).code).toBe('forbidden');
  });

  test('that says no role is refused as one who may do nothing here', async () => {
    const jwt = new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setSubject('user-1');
    const text = await jwt
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime(seconds(start) + 60)
      .sign(pair.privateKey);
    expect((await refusedAs(text)).code).toBe('forbidden');
  });

  test('is verified once and then remembered, but not beyond its end', async () => {
    const verify = verifier();
    const text = await token((jwt) => jwt.setExpirationTime(seconds(start) + 60));
    await verify(text);
    await verify(text);
    expect(lookUps).toBe(1);
    now = new Date(start.getTime() + 91_000);
    expect((await refusedAs(text, verify)).text).toContain('expired');
  });

  test('is verified again after five minutes: the issuer may have withdrawn its key', async () => {
    const verify = verifier();
    const text = await token();
    await verify(text);
    now = new Date(start.getTime() + 300_001);
    await verify(text);
    expect(lookUps).toBe(2);
  });

  test('that was refused is not remembered as refused', async () => {
    const verify = verifier();
    const text = await token((jwt) => jwt.setNotBefore(seconds(start) + 100));
    await refusedAs(text, verify);
    now = new Date(start.getTime() + 100_000);
    expect(await verify(text)).toMatchObject({ id: 'user-1' });
  });

  test('is not quoted in what is told of it', async () => {
    const text = await token(undefined, undefined, stranger);
    const refused = await refusedAs(text);
    expect(text.split('.').some((part) => refused.text.includes(part))).toBe(false);
  });
});
