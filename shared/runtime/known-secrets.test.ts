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
      return !scrubbed.split('[secret]').some((part) => part.includes(value));
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

it('forgets the oldest of those that pass beyond their limit', () => {
  const secrets = makeKnownSecrets({ maxPassing: 2 });
  for (const value of ['first-one', 'second-one', 'third-one']) secrets.addPassing(value);
  expect(secrets.scrub('first-one second-one third-one')).toBe('first-one [secret] [secret]');
});

it('keeps the others for good, however many pass', () => {
  const secrets = makeKnownSecrets();
  secrets.add('password-of-the-database');
  for (let n = 0; n < 2_000; n += 1) secrets.addPassing(`passing-${n}-`);
  expect(secrets.scrub('password-of-the-database passing-1999-')).toBe('[secret] [secret]');
  expect(secrets.scrub('passing-0-')).toBe('passing-0-');
});

it('remembers one that is met again and again, however many pass', () => {
  const secrets = makeKnownSecrets();
  for (let n = 0; n < 2_000; n += 1) {
    if (n % 100 === 0) secrets.addPassing('met-again');
    secrets.addPassing(`passing-${n}-`);
  }
  expect(secrets.scrub('met-again')).toBe('[secret]');
});

it('leaves no end of a secret that begins as another one of another kind', () => {
  const secrets = makeKnownSecrets({ maxPassing: 20 });
  secrets.add('secret-1');
  for (let n = 0; n < 5; n += 1) secrets.addPassing(`secret-1-${'longer'.repeat(n)}`);
  expect(secrets.scrub(`a secret-1-${'longer'.repeat(4)} b secret-1secret-1`)).toBe('a [secret] b [secret][secret]');
});
