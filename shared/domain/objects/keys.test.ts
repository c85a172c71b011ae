import { describe, expect, it } from 'vitest';
import { checkKey, checkPrefix } from './keys.ts';

describe('an object key', () => {
  it.each(['a', 'dead-letters/0f.json', 'a/b/c_d-e.1', `${'a'.repeat(200)}/b`])('may be %s', (key) => {
    expect(() => checkKey(key)).not.toThrow();
  });

  it.each([
    '',
    '/a',
    'a/',
    'a//b',
    '..',
    'a/../b',
    '.hidden',
    'a/.b',
    'a b',
    'a\0b',
    'a\\b',
    'ä',
    'a\n',
    'a'.repeat(201),
    'a/'.repeat(8) + 'a',
    Array.from({ length: 6 }, () => 'a'.repeat(100)).join('/'),
  ])('may not be %j', (key) => {
    expect(() => checkKey(key)).toThrow(/object key/);
  });
});

describe('a prefix', () => {
  it.each(['', 'a', 'a/', 'a/b', 'dead-letters/'])('may be %j', (prefix) => {
    expect(() => checkPrefix(prefix)).not.toThrow();
  });

  it.each(['/', '../', 'a/../', 'a//', '.', 'a/.'])('may not be %j', (prefix) => {
    expect(() => checkPrefix(prefix)).toThrow(/prefix/);
  });
});
