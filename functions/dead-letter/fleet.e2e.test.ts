import { expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest } from '#shared/testing/fleet.ts';

const fleet = fleetOfThisFile();

it('requests that a rollout of the broker dead-letters become running instances all the same', async () => {
  const requests = Array.from({ length: 6 }, (_, index) => provisionRequest(`rollout-${index}`));
  for (const request of requests) expect(await fleet().publish(request)).toMatchObject({ status: 202 });
  // the function is still being started: everything is in flight or prefetched
  await fleet().broker.rollOut();
  const letters = () =>
    fleet().rows<{ state: string; error_code: number; origin: string }>(
      `select state, error_code, origin from dead_events where received_by = 'dead-letter'`,
    );
  await expect.poll(async () => (await letters()).length, { timeout: 30_000 }).toBeGreaterThan(0);
  for (const letter of await letters()) {
    expect(letter).toMatchObject({ error_code: -1, origin: expect.stringMatching(/\/provision$/) });
  }
  for (const request of requests) await fleet().operationIn('succeeded', instanceIdOf(request));
  await expect
    .poll(async () => (await letters()).every(({ state }) => state === 'resolved'), { timeout: 60_000 })
    .toBe(true);
  const [count] = await fleet().rows<{ operations: number }>('select count(*) as operations from operations');
  expect(count?.operations).toBe(requests.length);
});
