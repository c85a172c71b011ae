import { expect, test } from 'vitest';
import { seeded, zipf } from './zipf.ts';

test('the first of 10,000 is drawn about 1/9.79 of the time, the tenth a tenth as often', () => {
  const draw = zipf(10_000, { s: 1, random: seeded(1) });
  const counts = new Map<number, number>();
  for (let times = 0; times < 200_000; times += 1) {
    const drawn = draw();
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  expect((counts.get(0) ?? 0) / 200_000).toBeCloseTo(1 / 9.79, 2);
  expect((counts.get(9) ?? 0) / 200_000).toBeCloseTo(1 / 97.9, 2);
  expect(Math.min(...counts.keys())).toBe(0);
  expect(Math.max(...counts.keys())).toBeLessThan(10_000);
});

test('one seed is one sequence', () => {
  const [one, same, other] = [seeded(7), seeded(7), seeded(8)];
  const drawn = [one(), one(), one()];
  expect([same(), same(), same()]).toEqual(drawn);
  expect(other()).not.toBe(drawn[0]);
});
