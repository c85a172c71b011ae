import { expect, test } from 'vitest';
import type { Lease } from '#shared/domain/operation/ports.ts';
import { leaseOf, type Runner, unavailable } from './runner.ts';

export function fenceTests({ world, take, begin, wait }: Runner): void {
  const writes: [string, (lease: Lease) => Promise<unknown>][] = [
    ['beginning a step', (lease) => begin(lease, 'two')],
    ['waiting', (lease) => wait(lease, 'one')],
    ['giving back', (lease) => world().records.giveBack(lease, { step: 'one', outcome: 'done' })],
    [
      'trying later',
      (lease) => world().records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 0 }),
    ],
    ['succeeding', (lease) => world().end(lease, 'succeeded')],
    ['failing', (lease) => world().end(lease, 'failed')],
    ['cancelling', (lease) => world().end(lease, 'cancelled')],
  ];
  const refused = async (lease: Lease, write: (lease: Lease) => Promise<unknown>) => {
    const before = [await world().look(lease.operationId), await world().steps(lease.operationId)] as const;
    await expect(write(lease)).rejects.toMatchObject({ code: 'fenced' });
    const after = [await world().look(lease.operationId), await world().steps(lease.operationId)] as const;
    expect(after[0]).toMatchObject({ ...before[0], dueInMs: after[0].dueInMs });
    expect(after[1]).toEqual(before[1]);
  };

  test.each(writes)('%s is refused after another has taken over, and changes nothing', async (_name, write) => {
    const id = await world().queue();
    const old = leaseOf(await take(id));
    await begin(old, 'one');
    await world().expireLease(id);
    await begin(leaseOf(await take(id)), 'one');
    await refused(old, write);
  });

  test.each(writes)('%s is refused once the lease was given back', async (_name, write) => {
    const id = await world().queue();
    const old = leaseOf(await take(id));
    await begin(old, 'one');
    await wait(old, 'one');
    await refused(old, write);
  });
}
