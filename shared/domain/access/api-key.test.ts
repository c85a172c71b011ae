import { describe, expect, test } from 'vitest';
import { isApiKey, isSecretOf, makeApiKey, readApiKey, whyUnusable } from './api-key.ts';

const soon = new Date('2027-01-02T00:00:00Z');
const now = new Date('2027-01-01T00:00:00Z');

describe('an API key', () => {
  test('is read as what was made, and its secret is not in what is kept', () => {
    const { text, ...kept } = makeApiKey();
    expect(readApiKey(text)).toEqual(kept);
    expect(kept.secretSha256.toString('base64url')).not.toBe(text.slice(-43));
    expect(isSecretOf(kept, kept)).toBe(true);
  });

  test('is made of 32 random bytes and an id that scanners recognise', () => {
    const made = Array.from({ length: 200 }, () => makeApiKey());
    expect(new Set(made.map(({ id }) => id)).size).toBe(200);
    expect(made.every(({ text }) => /^fleet_[a-z2-7]{16}_[A-Za-z0-9_-]{43}$/.test(text))).toBe(true);
    expect(isApiKey('fleet_x')).toBe(true);
  });

  test('of another is refused, and so is one that is not there', () => {
    const [mine, other] = [makeApiKey(), makeApiKey()];
    expect(isSecretOf(other, mine)).toBe(false);
    expect(isSecretOf(undefined, mine)).toBe(false);
    expect(isSecretOf(undefined, { id: 'x', secretSha256: Buffer.alloc(32) })).toBe(false);
  });

  const { text } = makeApiKey();
  test.each([
    ['cut short', text.slice(0, -1)],
    ['with a blank', `${text} `],
    ['with a line break', `${text}\n`],
    ['without its first word', text.slice(6)],
    ['in capitals', text.toUpperCase()],
    ['longer', `${text}A`],
    ['empty', ''],
  ])('%s is no key', (_how, wrong) => {
    expect(readApiKey(wrong)).toBeUndefined();
  });

  test('that is revoked or has expired says so', () => {
    expect(whyUnusable({ expiresAt: soon, revokedAt: null }, now)).toBeUndefined();
    expect(whyUnusable({ expiresAt: now, revokedAt: null }, now)).toContain('expired');
    expect(whyUnusable({ expiresAt: soon, revokedAt: now }, now)).toContain('revoked');
  });
});
