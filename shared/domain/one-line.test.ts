import fc from 'fast-check';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { text } from '#events/fields.ts';
import { oneLine } from './one-line.ts';

test('what is fit stays as it is', () => {
  for (const fit of ['', 'A sentence.', 'Müller & Söhne 🐘']) expect(oneLine(fit, 100)).toBe(fit);
});

test('line breaks and other control characters become a blank', () => {
  expect(oneLine('  first\r\n\tsecond\u0000\u2028third\n', 100)).toBe('first second third');
});

test('what is too long is cut, and says so', () => {
  expect(oneLine('abcdef', 6)).toBe('abcdef');
  expect(oneLine('abcdefg', 6)).toBe('abcde…');
  expect(oneLine('abcd🐘efg', 6)).toBe('abcd…');
});

test('whatever goes in, what comes out is text that an event may carry', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  );
  fc.assert(
    fc.property(anything, fc.integer({ min: 1, max: 40 }), (given, maxLength) => {
      const line = oneLine(given, maxLength);
      expect(v.is(text(maxLength), line)).toBe(true);
      expect(oneLine(line, maxLength)).toBe(line);
    }),
    { numRuns: 1_000 },
  );
});
