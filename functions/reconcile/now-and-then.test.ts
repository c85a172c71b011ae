import { expect, test } from 'vitest';
import { lastKnown, nowAndThen } from './now-and-then.ts';

test('it reads once in so long, and again at once after a reading that failed', async () => {
  let [nowMs, count] = [0, 0];
  const read = nowAndThen(
    async () => {
      count += 1;
      if (count === 3) throw new Error('away');
      return count;
    },
    { everyMs: 60_000, clock: () => nowMs },
  );
  expect([await read(), await read()]).toEqual([1, 1]);
  nowMs = 59_999;
  expect(await read()).toBe(1);
  nowMs = 60_000;
  expect(await read()).toBe(2);
  nowMs = 120_000;
  await expect(read()).rejects.toThrow('away');
  expect(await read()).toBe(4);
});

test('what cannot be read is told, and is what it was last, until it is time to read again', async () => {
  let [nowMs, count] = [0, 0];
  const troubles: unknown[] = [];
  const once = lastKnown(
    async () => {
      count += 1;
      if (count !== 2) throw new Error(`away ${count}`);
      return count;
    },
    (error) => void troubles.push(String(error)),
  );
  const read = nowAndThen(once, { everyMs: 60_000, clock: () => nowMs });
  expect([await read(), await read()]).toEqual([undefined, undefined]);
  nowMs = 60_000;
  expect(await read()).toBe(2);
  nowMs = 120_000;
  expect([await read(), await read()]).toEqual([2, 2]);
  expect(troubles).toEqual(['Error: away 1', 'Error: away 3']);
});
