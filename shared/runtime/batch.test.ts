import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { inBatches } from './batch.ts';

const options = { maxItems: 10, isEverybodys: () => false };
const done = <Value>(value: Value): PromiseSettledResult<Value> => ({ status: 'fulfilled', value });

/** Doubles numbers; `started` are the batches as they were run. */
function makeDoubling(fail: (items: readonly number[]) => Error | undefined, change: Partial<typeof options> = {}) {
  const started: (readonly number[])[] = [];
  let running = 0;
  const double = inBatches(
    async (items: readonly number[]) => {
      started.push(items);
      running += 1;
      expect(running).toBe(1);
      await delay(1);
      running -= 1;
      const failure = fail(items);
      if (failure !== undefined) throw failure;
      return items.map((item) => done(item * 2));
    },
    { ...options, ...change },
  );
  return { started, double };
}
const never = () => undefined;

describe('a batch', () => {
  test('holds what was asked for at the same time, and what comes meanwhile makes the next one', async () => {
    const { started, double } = makeDoubling(never);
    const first = [double(1), double(2)];
    await expect.poll(() => started.length, { timeout: 15_000 }).toBe(1);
    const second = [double(3), double(4), double(5)];
    expect(await Promise.all([...first, ...second])).toEqual([2, 4, 6, 8, 10]);
    expect(started).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  test('has a largest size', async () => {
    const { started, double } = makeDoubling(never, { maxItems: 2 });
    expect(await Promise.all([1, 2, 3, 4, 5].map(double))).toEqual([2, 4, 6, 8, 10]);
    expect(started).toEqual([[1, 2], [3, 4], [5]]);
  });

  test('that fails because of one item fails for that one alone', async () => {
    const { started, double } = makeDoubling((items) => (items.includes(2) ? new Error('of 2') : undefined));
    const results = await Promise.allSettled([1, 2, 3].map(double));
    expect(results).toMatchObject([{ value: 2 }, { reason: { message: 'of 2' } }, { value: 6 }]);
    expect(started).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(await double(4)).toBe(8);
  });

  test('that fails for everybody is not tried item by item', async () => {
    const { started, double } = makeDoubling(() => new Error('away'), { isEverybodys: () => true });
    const results = await Promise.allSettled([1, 2].map(double));
    expect(results).toMatchObject([{ reason: { message: 'away' } }, { reason: { message: 'away' } }]);
    expect(started).toHaveLength(1);
  });

  test('can fail one item and not the others', async () => {
    const run = inBatches(
      async (items: readonly number[]): Promise<PromiseSettledResult<number>[]> =>
        items.map((item) => (item === 2 ? { status: 'rejected', reason: new Error('of 2') } : done(item))),
      options,
    );
    expect(await Promise.allSettled([1, 2, 3].map(run))).toMatchObject([
      { value: 1 },
      { reason: { message: 'of 2' } },
      { value: 3 },
    ]);
  });

  test('that is answered with too few results keeps nobody waiting', async () => {
    const run = inBatches(async () => [done(1)], options);
    expect(await Promise.allSettled([1, 2].map(run))).toMatchObject([{ value: 1 }, { status: 'rejected' }]);
  });
});
