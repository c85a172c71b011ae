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
    { keptMs: 600_000, onTrouble: (error) => void troubles.push(String(error)), clock: () => nowMs },
  );
  const read = nowAndThen(once, { everyMs: 60_000, clock: () => nowMs });
  expect([await read(), await read()]).toEqual([undefined, undefined]);
  nowMs = 60_000;
  expect(await read()).toBe(2);
  nowMs = 120_000;
  expect([await read(), await read()]).toEqual([2, 2]);
  expect(troubles).toEqual(['Error: away 1', 'Error: away 3']);
});

test('what was read last is given for so long, and then nothing until it can be read again', async () => {
  let [nowMs, isAway] = [0, false];
  const read = lastKnown(
    async () => {
      if (isAway) throw new Error('away');
      return nowMs;
    },
    { keptMs: 300_000, onTrouble: () => undefined, clock: () => nowMs },
  );
  const given: (number | undefined)[] = [];
  for (const [atMs, away] of [
    [10_000, false],
    [20_000, true],
    [310_000, true],
    [310_001, true],
    [900_000, true],
    [910_000, false],
  ] as const) {
    [nowMs, isAway] = [atMs, away];
    given.push(await read());
  }
  expect(given).toEqual([10_000, 10_000, 10_000, undefined, undefined, 910_000]);
});
