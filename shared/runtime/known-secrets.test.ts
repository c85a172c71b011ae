import fc from 'fast-check';
import { expect, it } from 'vitest';
import { makeKnownSecrets } from './known-secrets.ts';

it('replaces a known value as itself, in JSON, in a URL and in base64', () => {
  const secrets = makeKnownSecrets();
  const value = 'p"ss w/rd+1';
  secrets.add(value);
  const base64 = Buffer.from(value).toString('base64');
  const line = `${value} | ${JSON.stringify({ value })} | //u:${encodeURIComponent(value)}@h | ${base64}`;
  expect(secrets.scrub(line)).toBe('[secret] | {"value":"[secret]"} | //u:[secret]@h | [secret]=');
});

it('leaves nothing of any secret in any text', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 8 }), fc.string(), fc.string(), (value, before, after) => {
      const secrets = makeKnownSecrets();
      secrets.add(value);
      const scrubbed = secrets.scrub(`${before}${value}${after}`);
      return !scrubbed.replaceAll('[secret]', '').includes(value);
    }),
  );
});

it('prefers the longer of two secrets that begin alike', () => {
  const secrets = makeKnownSecrets();
  secrets.add('secret-1');
  secrets.add('secret-1-longer');
  expect(secrets.scrub('secret-1-longer secret-1')).toBe('[secret] [secret]');
});

it('does not blank out short words', () => {
  const secrets = makeKnownSecrets();
  secrets.add('odoo');
  expect(secrets.scrub('odoo')).toBe('odoo');
});

it('forgets the oldest beyond its limit', () => {
  const secrets = makeKnownSecrets({ max: 2 });
  for (const value of ['first-one', 'second-one', 'third-one']) secrets.add(value);
  expect(secrets.scrub('first-one second-one third-one')).toBe('first-one [secret] [secret]');
});
