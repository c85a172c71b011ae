import { expect, test } from 'vitest';
import { leaseOf, type Runner, unavailable } from './runner.ts';

export function stepTests({ world, take, begin, wait }: Runner): void {
  test('each is noted with its attempt, and closed when the next one begins', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    expect(await begin(lease, 'one')).toEqual({ cancelRequested: false, overtaken: false, deadlinePassed: false });
    await begin(lease, 'two', { before: 'one' });
    expect(await world().look(id)).toMatchObject({ state: 'running', step: 'two', attempt: 1 });
    expect(await world().steps(id)).toEqual([
      { step: 'one', attempt: 1, fence: 1, outcome: 'done' },
      { step: 'two', attempt: 1, fence: 1, outcome: null },
    ]);
  });

  test('a try that failed is noted, and the next one is a row of its own', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await world().records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 4_000 });
    const { dueInMs, ...seen } = await world().look(id);
    expect(seen).toMatchObject({ state: 'waiting', step: 'one', attempt: 2, waitingFor: 'another try: unavailable' });
    expect(dueInMs).toBeGreaterThan(2_000);
    // Whoever asks meanwhile does not use up a try.
    expect(await take(id)).toEqual({ taken: false, because: 'backing-off' });
    await world().endBackOff(id);
    const taken = await take(id);
    expect(taken).toMatchObject({ operation: { step: 'one', attempt: 2 } });
    await begin(leaseOf(taken), 'one', { attempt: 2 });
    await begin(leaseOf(taken), 'two', { before: 'one' });
    expect(await world().steps(id)).toEqual([
      { step: 'one', attempt: 1, fence: 1, outcome: 'failed' },
      { step: 'one', attempt: 2, fence: 2, outcome: 'done' },
      { step: 'two', attempt: 1, fence: 2, outcome: null },
    ]);
  });

  test('a cancel does not wait for the time of the next try', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await world().records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 60_000 });
    await world().requestCancel(id);
    expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
  });

  test('a lease that is renewed lasts on, and an old one is not', async () => {
    const id = await world().queue();
    const old = leaseOf(await take(id));
    await world().expireLease(id);
    const lease = leaseOf(await take(id));
    await world().records.renew(lease, { leaseMs: 120_000 });
    expect((await world().look(id)).dueInMs).toBeGreaterThan(100_000);
    await world().records.renew(old, { leaseMs: 600_000 });
    expect((await world().look(id)).dueInMs).toBeLessThan(130_000);
  });

  test('the fence grows over all operations of an instance', async () => {
    const first = leaseOf(await take(await world().queue()));
    await begin(first, 'one');
    await world().end(first, 'succeeded');
    expect(leaseOf(await take(await world().queue())).fence).toBe(first.fence + 1);
    expect(leaseOf(await take(await world().queue({ instanceId: 'bbbbbbbbbbbb' }))).fence).toBe(1);
  });

  test('a look that can wait forgets the tries before it', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one', { attempt: 7 });
    await wait(lease, 'one');
    expect(await world().look(id)).toMatchObject({ step: 'one', attempt: 1, waitingFor: 'a Job' });
  });

  test('one that was woken is looked at again under the same row', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await take(id);
    expect(await wait(lease, 'one')).toBe('woken');
    await begin(lease, 'one');
    expect(await wait(lease, 'one')).toBe('waiting');
    expect(await world().steps(id)).toEqual([{ step: 'one', attempt: 1, fence: 1, outcome: 'waiting' }]);
  });

  test('what a dead process had begun is closed when another goes on', async () => {
    const id = await world().queue();
    await begin(leaseOf(await take(id)), 'one');
    await world().expireLease(id);
    await begin(leaseOf(await take(id)), 'one');
    expect(await world().steps(id)).toEqual([
      { step: 'one', attempt: 1, fence: 1, outcome: 'failed' },
      { step: 'one', attempt: 1, fence: 2, outcome: null },
    ]);
  });

  test('a deadline that has passed is said', async () => {
    const id = await world().queue({ deadlineMs: -1 });
    expect(await begin(leaseOf(await take(id)), 'one')).toMatchObject({ deadlinePassed: true });
  });
}
