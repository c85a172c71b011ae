import { expect, it } from 'vitest';
import { paced } from './paced.ts';

it('runs at once, and once for all who ask while it has to wait', async () => {
  let [nowMs, runs] = [0, 0];
  const work = paced(
    async () => {
      runs += 1;
    },
    10,
    () => nowMs,
  );
  await work();
  expect(runs).toBe(1);
  nowMs = 5;
  const waiting = [work(), work(), work()];
  expect(runs).toBe(1);
  await Promise.all(waiting);
  expect(runs).toBe(2);
  nowMs = 100;
  await work();
  expect(runs).toBe(3);
});
