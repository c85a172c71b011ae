import { expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, type TestEvent, until } from '#shared/testing/fleet.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

it('requests that a rollout of the broker dead-letters become running instances all the same', async () => {
  const requests = Array.from({ length: 6 }, (_, index) => provisionRequest(`rollout-${index}`));
  const publish = async (event: TestEvent) => expect(await fleet().publish(event)).toMatchObject({ status: 202 });
  const [first = provisionRequest('rollout'), ...others] = requests;
  // the cluster's news of the template's Job would be among the letters
  await fleet().broker.idle();
  await publish(first);
  // it stands still while it is being started: everything is in flight or prefetched
  await until('the function to be started', async () => fleet().functions.kill('provision', 'SIGSTOP').length > 0, {
    everyMs: 5,
  });
  for (const other of others) await publish(other);
  await fleet().broker.rollOut();
  fleet().functions.kill('provision', 'SIGCONT');
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
