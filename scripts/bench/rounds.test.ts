import { expect, test } from 'vitest';
import { interleave } from './rounds.ts';

test('arms take turns, every second round in the other order', async () => {
  const order: string[] = [];
  const arm = (name: string) => async (round: number) => {
    order.push(`${name}${round}`);
    return round;
  };
  const samples = await interleave(3, { a: arm('a'), b: arm('b') });
  expect(order).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
  expect(samples).toEqual({ a: [0, 1, 2], b: [0, 1, 2] });
});
