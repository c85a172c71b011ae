import { expect, test } from 'vitest';
import { scramVerifier } from './scram.ts';

test("the verifier is the one that Python's hashlib and hmac make after RFC 5802", async () => {
  const salt = Buffer.from(Array.from({ length: 16 }, (_, index) => index));
  expect(await scramVerifier('correct horse battery', salt)).toBe(
    'SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$DSORcG4dNUxAHTEo5BL20ymSoLgt8C8jLZ09S+VUVlM=:9hLrfnf7zvCtDB9drkVXkMgUsd4vpHfg5YQJDrbaZ30=',
  );
});

test.each(['', 'pässword', 'line\nbreak', 'nul\0', '\u00a0'])(
  'password %j is refused without being repeated',
  async (password) => {
    const refusal = await scramVerifier(password).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'invalid-request' });
    if (password !== '') expect(String(refusal)).not.toContain(password);
  },
);
