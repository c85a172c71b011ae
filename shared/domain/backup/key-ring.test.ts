import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeyContext, type KeyRing, parseKeyRing, ringKeyWrapper, ringSigner } from './key-ring.ts';

const text = (current: string, keys: Record<string, Buffer | string>) =>
  JSON.stringify({
    current,
    keys: Object.fromEntries(
      Object.entries(keys).map(([id, one]) => [id, typeof one === 'string' ? one : one.toString('base64')]),
    ),
  });
const [k1, k2] = [randomBytes(32), randomBytes(32)];
const before = parseKeyRing(text('k1', { k1 }));
const rotated = parseKeyRing(text('k2', { k1, k2 }));
const after = parseKeyRing(text('k2', { k2 }));
const dump: KeyContext = { purpose: 'dump', instanceId: 'abcdefghijkl', backupId: 'b1' };
const wrapperOf = (ring: KeyRing) => ringKeyWrapper(() => ring);

describe('a wrapped key', () => {
  it('is unwrapped to what it was, and shows nothing of it', async () => {
    const key = randomBytes(32);
    const wrapped = await wrapperOf(before).wrap(key, dump);
    expect(wrapped).toMatch(/^w1\.k1\.[\w-]{80}$/);
    expect(wrapped).not.toContain(key.toString('base64url').slice(0, 8));
    expect(await wrapperOf(before).unwrap(wrapped, dump)).toEqual(key);
    expect(await wrapperOf(before).wrap(key, dump)).not.toBe(wrapped);
  });

  it.each<[string, KeyContext]>([
    ['another purpose', { ...dump, purpose: 'files' }],
    ['another instance', { ...dump, instanceId: 'bbcdefghijkl' }],
    ['another backup', { ...dump, backupId: 'b2' }],
    ['no backup', { purpose: 'dump', instanceId: dump.instanceId }],
  ])('is refused for %s', async (_what, context) => {
    const wrapped = await wrapperOf(before).wrap(randomBytes(32), dump);
    await expect(wrapperOf(before).unwrap(wrapped, context)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('is refused when it was altered, wherever', async () => {
    const wrapped = await wrapperOf(before).wrap(randomBytes(32), dump);
    await fc.assert(
      fc.asyncProperty(fc.nat(wrapped.length - 1), fc.constantFrom(...'AZaz09-_.'), async (at, other) => {
        fc.pre(wrapped[at] !== other);
        const altered = `${wrapped.slice(0, at)}${other}${wrapped.slice(at + 1)}`;
        await expect(wrapperOf(before).unwrap(altered, dump)).rejects.toMatchObject({
          code: expect.stringMatching(/^(damaged|misconfigured)$/),
        });
      }),
    );
    for (const none of ['', 'w1', 'w1.k1.', `${wrapped}AAAA`]) {
      await expect(wrapperOf(before).unwrap(none, dump)).rejects.toMatchObject({ code: 'damaged' });
    }
  });

  it('is refused by another key of the same id', async () => {
    const wrapped = await wrapperOf(before).wrap(randomBytes(32), dump);
    const other = parseKeyRing(text('k1', { k1: k2 }));
    await expect(wrapperOf(other).unwrap(wrapped, dump)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('outlives a rotation of the ring', async () => {
    const key = randomBytes(32);
    const old = await wrapperOf(before).wrap(key, dump);
    expect(await wrapperOf(rotated).unwrap(old, dump)).toEqual(key);
    expect(await wrapperOf(rotated).wrap(key, dump)).toMatch(/^w1\.k2\./);
    const rewrapped = await wrapperOf(rotated).rewrap(old, dump);
    expect(rewrapped).toMatch(/^w1\.k2\./);
    expect(await wrapperOf(after).unwrap(rewrapped ?? '', dump)).toEqual(key);
    expect(await wrapperOf(rotated).rewrap(rewrapped ?? '', dump)).toBeUndefined();
    await expect(wrapperOf(after).unwrap(old, dump)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(/has no key "k1".*BACKUP_KEYS_FILE/),
    });
    await expect(wrapperOf(rotated).rewrap(old, { ...dump, backupId: 'b2' })).rejects.toMatchObject({
      code: 'damaged',
    });
  });

  it('holds 32 bytes', async () => {
    await expect(wrapperOf(before).wrap(randomBytes(31), dump)).rejects.toThrow(/32 bytes, not 31/);
  });
});

describe('a signature of the ring', () => {
  const document = Buffer.from('{"a":1}');

  it('is known while its key is in the ring', () => {
    const by = ringSigner(() => before).sign(document);
    expect(by.keyId).toBe('k1');
    expect(ringSigner(() => before).isSigned(document, by)).toBe(true);
    expect(ringSigner(() => rotated).isSigned(document, by)).toBe(true);
    expect(ringSigner(() => after).isSigned(document, by)).toBe(false);
    expect(ringSigner(() => rotated).sign(document).keyId).toBe('k2');
  });

  it('is of these bytes and this key', () => {
    const by = ringSigner(() => rotated).sign(document);
    const signer = ringSigner(() => rotated);
    expect(signer.isSigned(Buffer.from('{"a":2}'), by)).toBe(false);
    expect(signer.isSigned(document, { ...by, keyId: 'k1' })).toBe(false);
    expect(signer.isSigned(document, { ...by, signature: by.signature.slice(2) })).toBe(false);
    expect(signer.isSigned(document, { ...by, signature: '' })).toBe(false);
  });
});

describe('the text of a key ring', () => {
  const secret = randomBytes(32).toString('base64');

  it.each<[string, string, RegExp]>([
    ['no JSON', `{"current":"k1","keys":{"k1":"${secret}"`, /another shape/],
    ['no keys', '{"current":"k1"}', /another shape/],
    ['a current key that is not there', text('k9', { k1: secret }), /has no key "k9"/],
    ['a key that is too short', text('k1', { k1: secret.slice(0, 20) }), /32 random bytes.*keys\.k1/],
    ['a key that is no base64', text('k1', { k1: `${secret.slice(0, -2)}!=` }), /32 random bytes/],
    ['a strange id', text('k 1', { 'k 1': secret }), /a key id is/],
    ['a key twice', text('a', { a: secret, b: secret }), /two of its keys are the same/],
    ['a word too much', JSON.stringify({ current: 'k1', keys: { k1: secret }, extra: secret }), /another shape/],
    ['a key for the whole', JSON.stringify(secret), /another shape/],
  ])('is refused with %s, and not shown', (_what, ring, message) => {
    const refusal = (() => {
      try {
        return parseKeyRing(ring);
      } catch (error) {
        return error as Error;
      }
    })();
    expect(refusal).toMatchObject({ code: 'misconfigured', message: expect.stringMatching(message) });
    expect(JSON.stringify(refusal) + String(refusal)).not.toContain(secret.slice(0, 8));
  });
});
