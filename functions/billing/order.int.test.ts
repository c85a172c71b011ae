import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { lockBilling } from '#shared/adapters/postgres/subscriptions.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { billingWorld, cancelled, overdue, subscription } from './billing.fixture.ts';

const platform = platformOfThisFile();
const world = billingWorld(platform);
const { say } = world;
beforeEach(() => world.reset());

const failed = (sequence: number, change = {}) => ({ ...subscription(sequence, overdue), invoice: 'i-1', ...change });
const paid = (sequence: number, change = {}) => ({ ...subscription(sequence, change), invoice: 'i-1' });

describe('news that come late, twice or at once', () => {
  test('B11: a failure that arrives after the payment changes nothing, and is recorded', async () => {
    const instance = await world.addInstance();
    await say('billing.invoice.paid', paid(2, { instance }));
    expect(await say('billing.invoice.payment.failed', failed(1, { instance }))).toBe('superseded');
    expect(await world.kinds()).toEqual([]);
    expect((await world.outcomes()).sort()).toEqual(['applied', 'superseded']);
    const [entry] = await world.rows<object>(`select actor, detail from audit where action = 'billing.superseded'
      order by sequence desc limit 1`);
    expect(entry).toMatchObject({ actor: 'urn:billing', detail: { subscription: 's-1', sequence: 1 } });
  });

  test('B11: delivered ten times at once it counts once', async () => {
    const instance = await world.addInstance();
    const deliveries = Array.from({ length: 10 }, () =>
      say('billing.invoice.payment.failed', failed(1, { instance }), { id: 'one' }),
    );
    const outcomes = await Promise.all(deliveries);
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(9);
    expect(await world.kinds()).toEqual(['suspend']);
    await expect(say('billing.invoice.payment.failed', failed(2, { instance }), { id: 'one' })).rejects.toMatchObject({
      code: 'reused-event-id',
    });
  });

  test('B11: ten news at once end in the newest, whichever comes first', async () => {
    const instance = await world.addInstance();
    const news = Array.from({ length: 10 }, (_, at) =>
      subscription(at + 1, { instance, ...(at % 2 === 0 ? overdue : {}) }),
    );
    await Promise.all(news.map((one) => say('billing.overdue.changed', one)));
    const [held] = await world.rows('select sequence, paid from subscriptions');
    expect(held).toEqual({ sequence: 10, paid: true });
    const kinds = await world.kinds();
    expect(kinds.at(-1) ?? 'resume').toBe('resume');
    const orders = (await world.asked()).map(({ data }) => data['sequence']);
    expect(orders).toEqual(orders.map((_, at) => at + 1));
  });

  test('waits for whoever is deciding about the same customer', async () => {
    const instance = await world.addInstance();
    let answered: Promise<string> | undefined;
    await platform().transaction(async (transaction) => {
      await lockBilling(transaction, 'c-1');
      answered = say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
      await world.untilSomebodyWaits();
      expect(await world.rows('select 1 from subscriptions')).toEqual([]);
    });
    expect(await answered).toBe('applied');
  });
});

test('whatever order the news come in and however often, the instance ends where the newest say', async () => {
  const states = { active: {}, overdue, cancelled } as const;
  const type = { active: 'subscription.uncancelled', overdue: 'overdue.changed', cancelled: 'subscription.cancelled' };
  const arrivals = fc
    .array(fc.constantFrom<keyof typeof states>('active', 'overdue', 'cancelled'), { minLength: 1, maxLength: 6 })
    .chain((stream) => {
      const news = stream.map((state, sequence) => ({ state, sequence }));
      return fc.shuffledSubarray([...news, ...news], { minLength: news.length * 2 });
    });
  await fc.assert(
    fc.asyncProperty(arrivals, fc.infiniteStream(fc.boolean()), async (news, carriesOut) => {
      await world.reset();
      const instance = await world.addInstance();
      for (const { state, sequence } of news) {
        const data = subscription(sequence, { instance, ...states[state] });
        await say(`billing.${type[state]}`, data, { id: `event-${sequence}` });
        if (carriesOut.next().value === true) await world.carryOut();
      }
      for (let round = 0; round < 4; round += 1) {
        await world.carryOut();
        await world.tick();
      }
      const [end] = await world.rows<{ terminated: boolean; suspended: boolean }>(
        `select desired_state = 'terminated' as terminated,
           exists (select 1 from suspensions where closed_at is null) as suspended from instances`,
      );
      const newest = news.reduce((one, other) => (other.sequence > one.sequence ? other : one)).state;
      if (newest === 'active') expect(end).toEqual({ terminated: false, suspended: false });
      if (newest === 'cancelled') expect(end).toMatchObject({ terminated: true });
      // one that billing has ended stays so until it is paid
      if (newest === 'overdue') expect(end?.terminated === true || end?.suspended === true).toBe(true);
    }),
    { numRuns: 25 },
  );
});
