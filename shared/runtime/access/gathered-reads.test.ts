import { expect, test } from 'vitest';
import { gatheredReads } from './gathered-reads.ts';

/** A place that answers each reading when the test says so. */
function open({ mostKeys = 100 } = {}) {
  const readings: { keys: readonly string[]; answer: PromiseWithResolvers<void> }[] = [];
  const clock = { nowMs: 0, waitedMs: 0 };
  const ask = gatheredReads(
    async (keys) => {
      const answer = Promise.withResolvers<void>();
      readings.push({ keys, answer });
      await answer.promise;
      return new Map(keys.filter((key) => key !== 'none').map((key) => [key, `the ${key}`]));
    },
    {
      everyMs: 20,
      mostKeys,
      nowMs: () => clock.nowMs,
      wait: async (ms) => {
        clock.waitedMs += ms;
        clock.nowMs += ms;
      },
    },
  );
  return { ask, readings, clock };
}

const asFarAsItGets = () => new Promise((resolve) => setImmediate(resolve));

test('the first is read at once, and who comes meanwhile together by the next reading', async () => {
  const { ask, readings } = open();
  const asked = ['a', 'b', 'none', 'b'].map(ask);
  expect(readings.map(({ keys }) => keys)).toEqual([['a']]);
  readings[0]?.answer.resolve();
  expect(await asked[0]).toBe('the a');
  await asFarAsItGets();
  expect(readings.map(({ keys }) => keys)).toEqual([['a'], ['b', 'none']]);
  readings[1]?.answer.resolve();
  expect(await Promise.all(asked)).toEqual(['the a', 'the b', undefined, 'the b']);
});

test('readings begin no sooner than they may, and one after the other', async () => {
  const { ask, readings, clock } = open();
  for (const key of ['a', 'b', 'c']) {
    const asked = ask(key);
    await asFarAsItGets();
    readings.at(-1)?.answer.resolve();
    await asked;
  }
  expect([readings.length, clock.waitedMs]).toEqual([3, 40]);
  clock.nowMs += 20;
  void ask('d');
  expect([readings.length, clock.waitedMs]).toEqual([4, 40]);
});

test('what is too much for one reading waits for the next', async () => {
  const { ask, readings } = open({ mostKeys: 2 });
  const asked = ['a', 'b', 'c', 'd'].map(ask);
  for (let at = 0; at < 3; at += 1) {
    readings[at]?.answer.resolve();
    await asFarAsItGets();
  }
  await Promise.all(asked);
  expect(readings.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c'], ['d']]);
});

test('a reading that fails fails for those who are in it, and for nobody else', async () => {
  const { ask, readings } = open();
  const failing = ask('a');
  const later = ask('b');
  readings[0]?.answer.reject(new Error('away'));
  await expect(failing).rejects.toThrow('away');
  await asFarAsItGets();
  readings[1]?.answer.resolve();
  expect(await later).toBe('the b');
});
