import { expect, it } from 'vitest';
import { quantityOf } from './quantity.ts';

it.each([
  ['1000m', '1'],
  ['0.5', '500m'],
  ['1024Mi', '1Gi'],
  ['1.5Gi', '1536Mi'],
  ['1k', '1000'],
  ['1e3', '1k'],
  ['1E', '1000P'],
  ['-1', '-1000m'],
  ['.5', '500m'],
])('%s is as much as %s', (one, other) => {
  expect(quantityOf(one)).toBeDefined();
  expect(quantityOf(one)).toBe(quantityOf(other));
});

it('takes numbers', () => {
  expect(quantityOf(2)).toBe(quantityOf('2'));
});

it('tells a thousand from 1024', () => {
  expect(quantityOf('1G')).not.toBe(quantityOf('1Gi'));
});

it.each(['', 'm', '1 Gi', '1gi', 'abc', '--1', undefined, {}])('finds no quantity in %j', (value) => {
  expect(quantityOf(value)).toBeUndefined();
});
