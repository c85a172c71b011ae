import { expect, it } from 'vitest';
import { concurrently } from './concurrently.ts';

it('does the work for each, so many at a time', async () => {
  let [now, most] = [0, 0];
  const done: number[] = [];
  await concurrently([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    now += 1;
    most = Math.max(most, now);
    await Promise.resolve();
    now -= 1;
    done.push(item);
  });
  expect(most).toBe(3);
  expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

it('begins nothing after a failure, and throws it when what was under way has ended', async () => {
  const ended: number[] = [];
  const work = concurrently([1, 2, 3, 4, 5], 2, async (item) => {
    if (item === 1) throw new Error('first');
    await new Promise((resolve) => setImmediate(resolve));
    ended.push(item);
  });
  await expect(work).rejects.toThrow('first');
  expect(ended).toEqual([2]);
});
