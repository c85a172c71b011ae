import { expect, it } from 'vitest';
import { canonicalQuantity } from './quantity.ts';

it.each([
  ['1', '1'],
  ['0.5', '500m'],
  ['1000m', '1'],
  ['1500m', '1500m'],
  ['2000', '2k'],
  ['1024Mi', '1Gi'],
  ['1536Mi', '1536Mi'],
  ['1.5Gi', '1536Mi'],
  ['0', '0'],
  ['-1', '-1'],
  ['1e3', '1e3'],
  ['100M', '100M'],
])('the quantity %s is written %s', (text, canonical) => {
  expect(canonicalQuantity(text)).toBe(canonical);
});

it.each(['', 'x', '1 Gi', '1GiB', '.', 'Mi', '1.2.3'])('%j is no quantity', (text) => {
  expect(canonicalQuantity(text)).toBeUndefined();
});
