import { expect, test } from 'vitest';
import { verifyOdooPassword } from './password-hash.fixture.ts';
import { hashOdooPassword } from './password-hash.ts';

test("the hash is the one that Python's hashlib and passlib make", async () => {
  const salt = Buffer.from(Array.from({ length: 16 }, (_, index) => index));
  // hashlib.pbkdf2_hmac('sha512', b'correct horse battery', bytes(range(16)), 25000), in passlib's base64
  expect(await hashOdooPassword('correct horse battery', salt)).toBe(
    '$pbkdf2-sha512$25000$AAECAwQFBgcICQoLDA0ODw$Eg0Mk93hSCKTNDTT755F1rAKbWsV8PFg6FJZ47XUM739UmWNhvhwHSOdWT.vjaDlC7U.rRRTf21fAAcW5XeH3Q',
  );
});

test('two hashes of one password differ, and both verify', async () => {
  const [one, two] = await Promise.all([hashOdooPassword('secret'), hashOdooPassword('secret')]);
  expect(one).not.toBe(two);
  expect(verifyOdooPassword('secret', one)).toBe(true);
  expect(verifyOdooPassword('secret', two)).toBe(true);
  expect(verifyOdooPassword('Secret', one)).toBe(false);
});
