import { expect, test } from 'vitest';
import { growthExponent, median, medianDifference, medianRatio, percentile } from './statistics.ts';

test('the median is the middle sample, whatever the order', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('percentiles lie between their neighbours', () => {
  const samples = Array.from({ length: 101 }, (_, index) => 100 - index);
  expect(percentile(samples, 0.95)).toBe(95);
  expect(percentile([10, 20], 0.95)).toBeCloseTo(19.5);
  expect(percentile([7], 0.95)).toBe(7);
});

test('samples are not reordered', () => {
  const samples = [3, 1, 2];
  median(samples);
  expect(samples).toEqual([3, 1, 2]);
});

test('a ratio is taken round by round, so that a slow round does not count', () => {
  expect(medianRatio([10, 100, 30], [5, 50, 15])).toBe(2);
  expect(medianDifference([10, 100, 30], [9, 90, 28])).toBe(2);
  expect(() => medianRatio([1, 2], [1])).toThrow(RangeError);
});

test('growth is told by its exponent', () => {
  const of = (k: number) => growthExponent([1, 5, 10, 20].map((x) => ({ x, y: 3 * x ** k })));
  expect(of(1)).toBeCloseTo(1);
  expect(of(0)).toBeCloseTo(0);
  expect(of(1.5)).toBeCloseTo(1.5);
});
