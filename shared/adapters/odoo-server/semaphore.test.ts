import { expect, test } from 'vitest';
import { openSemaphore } from './semaphore.ts';

const options = { waitTimeoutMs: 10_000, what: 'place' };

test('no more than its size are inside, and the others follow in the order they came', async () => {
  const semaphore = openSemaphore(2, options);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 9 }, (_, index) =>
      semaphore.use(async () => {
        order.push(index);
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        inside -= 1;
      }),
    ),
  );
  expect(most).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect([semaphore.busy(), semaphore.waiting()]).toEqual([0, 0]);
});

test('a failure gives the place back', async () => {
  const semaphore = openSemaphore(1, options);
  await expect(semaphore.use(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await semaphore.use(async () => 'free')).toBe('free');
});

test('who waits too long is told so and takes no place', async () => {
  const semaphore = openSemaphore(1, { waitTimeoutMs: 5, what: 'connection' });
  let free = () => {};
  const holder = semaphore.use(() => new Promise<void>((resolve) => (free = resolve)));
  await expect(semaphore.use(async () => undefined)).rejects.toMatchObject({ code: 'timeout' });
  expect([semaphore.busy(), semaphore.waiting()]).toEqual([1, 0]);
  free();
  await holder;
  expect(semaphore.busy()).toBe(0);
});
