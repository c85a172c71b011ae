import { expect, test } from 'vitest';
import { leaseOf, type Runner, unavailable } from './runner.ts';

export function cancelTests({ world, take, begin, wait }: Runner): void {
  test('is seen at the next step, and wakes a holder that would wait', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await world().requestCancel(id);
    expect(await wait(lease, 'one')).toBe('woken');
    expect(await begin(lease, 'one')).toMatchObject({ cancelRequested: true });
  });

  test('does not wait for the next try of a step', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await world().requestCancel(id);
    await world().records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 60_000 });
    expect((await world().look(id)).dueInMs).toBeLessThanOrEqual(0);
    expect(await take(id)).toMatchObject({ operation: { cancelRequested: true } });
  });

  test('is not lost when the operation fails in the same moment', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await world().requestCancel(id);
    await world().end(lease, 'failed');
    const { state, dueInMs } = await world().look(id);
    expect(state).toBe('queued');
    expect(dueInMs).toBeLessThanOrEqual(0);
    expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
  });

  test('brings a failed operation back', async () => {
    const id = await world().queue();
    await world().end(leaseOf(await take(id)), 'failed');
    await world().requestCancel(id);
    expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
  });
}
