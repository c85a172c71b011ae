import { createHmac, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { storedFileName } from './object-names.ts';

const sha1 = 'a94a8fe5ccb19ba61c4c0873d391e987982fbbd3';

it('names a file by its content and the key of its instance', () => {
  const [key, other] = [randomBytes(32), randomBytes(32)];
  const name = storedFileName(key, sha1);
  expect(name).toBe(createHmac('sha256', key).update(`name:${sha1}`).digest('hex'));
  expect(storedFileName(key, sha1)).toBe(name);
  expect(storedFileName(other, sha1)).not.toBe(name);
  expect(storedFileName(key, sha1.replace('a', 'b'))).not.toBe(name);
});

it.each(['', sha1.slice(1), sha1.toUpperCase(), `${sha1}\n`])('refuses %j, which is no sha1', (text) => {
  expect(() => storedFileName(randomBytes(32), text)).toThrow(/40 hex digits/);
});
