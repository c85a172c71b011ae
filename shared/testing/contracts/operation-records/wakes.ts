import { expect, test } from 'vitest';
import { leaseOf, type Runner } from './runner.ts';

export function wakeTests({ world, take, begin, wait }: Runner): void {
  test('a call while the lease is held makes the holder look once more', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    expect(await take(id)).toEqual({ taken: false, because: 'held' });
    expect(await wait(lease, 'one')).toBe('woken');
    expect(await world().look(id)).toMatchObject({ state: 'running', fence: 1 });
  });

  test('wakes are never lost: after each, somebody looks', async () => {
    const id = await world().queue();
    for (let round = 0; round < 10; round += 1) {
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      // An event and the end of the turn at the same moment: either the event takes the lease, or the holder stays.
      const [waited, answer] = await Promise.all([wait(lease, 'one'), take(id)]);
      expect([waited, answer.taken]).toSatisfy(
        ([how, isTaken]) => (how === 'woken' && isTaken === false) || (how === 'waiting' && isTaken === true),
      );
      if (waited === 'woken') {
        await begin(lease, 'one');
        await wait(lease, 'one');
      } else {
        await begin(leaseOf(answer), 'one');
        await wait(leaseOf(answer), 'one');
      }
    }
  });

  test('giving back makes it due at once, woken or not', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    await take(id);
    await world().records.giveBack(lease, { step: 'one', outcome: 'done' });
    const { dueInMs, ...seen } = await world().look(id);
    expect(seen).toMatchObject({ state: 'waiting', step: 'one' });
    expect(dueInMs).toBeLessThanOrEqual(0);
    expect(await world().steps(id)).toEqual([{ step: 'one', attempt: 1, fence: 1, outcome: 'done' }]);
  });
}
