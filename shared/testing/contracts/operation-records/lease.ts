import { expect, test } from 'vitest';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { leaseOf, type Runner } from './runner.ts';

export function leaseTests({ world, take, begin, wait }: Runner): void {
  test('a queued operation begins under fence 1, due again when the lease ends', async () => {
    const id = await world().queue();
    const taken = await take(id);
    expect(taken).toMatchObject({
      taken: true,
      operation: { id, state: 'running', fence: 1, step: null, attempt: 1, round: 1, cancelRequested: false },
    });
    const { dueInMs, ...seen } = await world().look(id);
    expect(seen).toMatchObject({ state: 'running', fence: 1 });
    expect(dueInMs).toBeGreaterThan(20_000);
  });

  test('exactly one of twenty that ask at once gets it', async () => {
    const id = await world().queue();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => take(id, { holder: `holder ${at}` })));
    expect(answers.filter(({ taken }) => taken)).toHaveLength(1);
    expect(answers.filter((answer) => !answer.taken && answer.because === 'held')).toHaveLength(19);
    expect((await world().look(id)).fence).toBe(1);
  });

  test('a lease that ran out can be taken, under a higher fence', async () => {
    const id = await world().queue();
    leaseOf(await take(id));
    expect(await take(id)).toEqual({ taken: false, because: 'held' });
    await world().expireLease(id);
    expect(leaseOf(await take(id)).fence).toBe(2);
  });

  test('a waiting operation is taken at once, whenever it is due', async () => {
    const id = await world().queue();
    const lease = leaseOf(await take(id));
    await begin(lease, 'one');
    expect(await wait(lease, 'one', 600_000)).toBe('waiting');
    expect(leaseOf(await take(id)).fence).toBe(2);
  });

  test('the operations of one instance have their turns in order', async () => {
    const [first, second, third] = [await world().queue(), await world().queue(), await world().queue()];
    expect(await take(second)).toEqual({ taken: false, because: 'queued' });
    const lease = leaseOf(await take(first));
    await begin(lease, 'one');
    expect(await take(second)).toEqual({ taken: false, because: 'queued' });
    await wait(lease, 'one');
    expect(await take(second)).toEqual({ taken: false, because: 'queued' });
    await world().end(leaseOf(await take(first)), 'succeeded');
    expect(await take(third)).toEqual({ taken: false, because: 'queued' });
    expect(await take(second)).toMatchObject({ taken: true });
    expect(await take(first)).toEqual({ taken: false, because: 'finished' });
  });

  test('of two queued ones of an instance that are taken at once, one gets it', async () => {
    const ids = [await world().queue(), await world().queue()];
    const answers = await Promise.all([...ids, ...ids].map((id) => take(id)));
    expect(answers.filter(({ taken }) => taken)).toHaveLength(1);
  });

  test('operations of other instances do not wait', async () => {
    const [mine, other] = [await world().queue(), await world().queue({ instanceId: 'bbbbbbbbbbbb' })];
    expect(await take(mine)).toMatchObject({ taken: true });
    expect(await take(other)).toMatchObject({ taken: true });
  });

  test('what it does not understand it leaves alone', async () => {
    const id = await world().queue();
    expect(await take(id, { knownVersions: [2, 3] })).toEqual({ taken: false, because: 'other-version' });
    expect(await take(id, { kind: 'suspend' })).toEqual({ taken: false, because: 'unknown' });
    expect(await take(newOperationId())).toEqual({ taken: false, because: 'unknown' });
    expect(await world().look(id)).toMatchObject({ state: 'queued', fence: 0 });
    expect(await take(id, { knownVersions: [2, 1] })).toMatchObject({ operation: { definitionVersion: 1 } });
  });

  test.each(['succeeded', 'failed', 'cancelled'] as const)('one that has %s is finished', async (state) => {
    const id = await world().queue();
    await world().end(leaseOf(await take(id)), state);
    expect(await take(id)).toEqual({ taken: false, because: 'finished' });
    expect(await world().look(id)).toMatchObject({ state, dueInMs: null });
  });
}
