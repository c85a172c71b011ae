import { beforeEach, describe, expect, test } from 'vitest';
import { lockInstanceRequests } from '#shared/adapters/postgres/operation-requests.ts';
import { tryLockBilling } from '#shared/adapters/postgres/subscriptions.ts';
import { Failure } from '#shared/domain/failure.ts';
import { billingUpkeep } from '#shared/runtime/billing/upkeep.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import {
  anybody,
  billingEvent,
  billingWorld,
  cancelled,
  configuration,
  inDays,
  overdue,
  subscription,
} from './billing.fixture.ts';
import { billingHandler } from './handler.ts';

const platform = platformOfThisFile();
const world = billingWorld(platform);
const { say } = world;
beforeEach(() => world.reset());

const inGrace = { paid: false, overduesince: inDays(-1) } as const;

/** An instance that was suspended for an overdue bill, of which a later one is borne for some days. */
async function suspendedInGrace(): Promise<string> {
  const instance = await world.addInstance();
  await say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
  await world.carryOut();
  await world.tick();
  await say('billing.overdue.changed', subscription(2, inGrace));
  return instance;
}

describe('a grace period', () => {
  test('that ends without another event suspends, once', async () => {
    const instance = await world.addInstance();
    await say('billing.invoice.payment.failed', { ...subscription(1, { instance, ...inGrace }), invoice: 'i-1' });
    expect(await world.tick()).toMatchObject({ customers: 0, asked: 0 });
    await world.pass(14);
    expect(await world.tick()).toMatchObject({ customers: 1, asked: 1 });
    expect(await world.tick({ passTime: false })).toEqual({ customers: 0, asked: 0, resent: 0, givenUp: [] });
    expect(await world.asked()).toMatchObject([{ kind: 'suspend', data: { instance, cause: 'billing' } }]);
  });

  test('that ends after the payment does nothing', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...inGrace }));
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    await world.pass(14);
    await world.tick();
    expect(await world.kinds()).toEqual([]);
  });

  test('is the one the plan names when it ends: a plan that became stricter takes effect with the next news', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...inGrace }));
    await world.rows('update plans set grace_days = 0');
    await say('billing.overdue.changed', subscription(2, inGrace));
    expect(await world.kinds()).toEqual(['suspend']);
  });

  test('that ends again suspends again, when somebody has lifted the suspension meanwhile', async () => {
    const instance = await suspendedInGrace();
    await world.rows('update suspensions set closed_at = now() where instance_id = $1', [instance]);
    await world.tick();
    expect(await world.kinds()).toEqual(['suspend']);
    await world.pass(14);
    expect(await world.tick()).toMatchObject({ asked: 1 });
    expect(await world.kinds()).toEqual(['suspend', 'suspend']);
    await world.carryOut();
    for (let round = 0; round < 2; round += 1) expect(await world.tick()).toMatchObject({ asked: 0 });
  });

  test('that ends while somebody lifts the suspension suspends again: neither overlooks the other', async () => {
    const instance = await suspendedInGrace();
    await world.pass(14);
    let tick: Promise<unknown> | undefined;
    await platform().transaction(async (transaction) => {
      await lockInstanceRequests(transaction, instance);
      await transaction.query('update suspensions set closed_at = now() where instance_id = $1', [instance]);
      tick = world.tick();
      await world.untilSomebodyWaits();
    });
    expect(await tick).toMatchObject({ asked: 1 });
    expect(await world.kinds()).toEqual(['suspend', 'suspend']);
  });

  test('that is over suspends one that came back since its suspension was refused for being terminated', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
    await world.rows(`update instances set desired_state = 'terminated'`);
    await world.carryOut('refused: terminated');
    await world.tick();
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    await world.rows(`update instances set desired_state = 'running'`);
    await say('billing.overdue.changed', subscription(3, overdue));
    expect(await world.kinds()).toEqual(['suspend', 'suspend']);
    await world.carryOut();
    for (let round = 0; round < 2; round += 1) expect(await world.tick()).toMatchObject({ asked: 0 });
  });

  test('of many customers ends for all of them, a bounded number at a time, ten ticks at once', async () => {
    for (let number = 1; number <= 30; number += 1) {
      await world.rows('insert into customers (id) values ($1)', [`many-${number}`]);
      const instance = await world.addInstance(number, `many-${number}`);
      const data = subscription(1, { instance, customer: `many-${number}`, subscription: `s-${number}`, ...inGrace });
      await say('billing.overdue.changed', data);
    }
    await world.pass(14);
    const reports = await Promise.all(Array.from({ length: 10 }, () => world.tick({ passTime: false, limit: 10 })));
    expect(Math.max(...reports.map(({ customers }) => customers))).toBeLessThanOrEqual(10);
    for (let round = 0; round < 3; round += 1) await world.tick({ passTime: false, limit: 10 });
    expect(await world.kinds()).toEqual(Array.from({ length: 30 }, () => 'suspend'));
  });

  test('is left to whoever is deciding about the customer now', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...inGrace }));
    await world.pass(14);
    await platform().transaction(async (transaction) => {
      expect(await tryLockBilling(transaction, 'c-1')).toBe(true);
      expect(await world.tick()).toMatchObject({ asked: 0 });
    });
    expect(await world.tick()).toMatchObject({ asked: 1 });
  });
});

describe('a request', () => {
  test('that a broker has lost is sent again under its id, until its function has it', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
    const [asked] = await world.asked();
    await world.rows('update outbox set published_at = now()');
    expect(await world.tick({ passTime: false })).toMatchObject({ resent: 0 });
    expect(await world.tick()).toMatchObject({ resent: 1, asked: 0 });
    expect(await world.rows('select id, published_at from outbox')).toEqual([{ id: asked?.id, published_at: null }]);
    await world.carryOut();
    expect(await world.tick()).toMatchObject({ resent: 0, asked: 0 });
    expect(await world.rows('select check_at, resends from billing_requests')).toEqual([
      { check_at: null, resends: 1 },
    ]);
  });

  test('is with its function when that has this very one', async () => {
    for (const number of [1, 2]) {
      const instance = await world.addInstance(number);
      await say('billing.overdue.changed', subscription(1, { instance, subscription: `s-${number}`, ...overdue }));
      if (number === 1) await world.carryOut();
    }
    expect(await world.tick()).toMatchObject({ resent: 1 });
  });

  test('that the outbox has forgotten is written anew, the same', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
    const [before] = await world.asked();
    await world.rows('delete from outbox');
    await world.tick();
    expect(await world.asked()).toEqual([before]);
  });

  test('that nobody takes is not sent for ever, and the audit says so', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { instance, ...overdue }));
    await world.rows('update billing_requests set resends = 30');
    expect(await world.tick()).toMatchObject({ resent: 0, givenUp: [{ instanceId: instance, kind: 'suspend' }] });
    expect(await world.tick()).toMatchObject({ customers: 0 });
    const [asked] = await world.asked();
    expect(
      await world.rows(`select actor, instance_id, detail from audit where action = 'billing.given-up'`),
    ).toContainEqual({ actor: 'urn:odoo-fleet', instance_id: instance, detail: { kind: 'suspend', event: asked?.id } });
  });

  test.each([
    ['suspend', overdue],
    ['terminate', cancelled],
  ] as const)('to %s that is refused is not asked for again', async (kind, change) => {
    const instance = await world.addInstance();
    await say('billing.subscription.changed', subscription(1, { instance, ...change }));
    await world.carryOut('refused: not-allowed');
    for (let round = 0; round < 3; round += 1) await world.tick();
    await say('billing.subscription.changed', subscription(2, { instance, ...change }));
    await world.tick();
    expect(await world.kinds()).toEqual([kind]);
  });

  test.each([
    ['suspend', overdue],
    ['terminate', cancelled],
  ] as const)('to %s that met too many operations is asked for again, and then no more', async (kind, change) => {
    const instance = await world.addInstance();
    await say('billing.subscription.changed', subscription(1, { instance, ...change }));
    await world.carryOut('refused: too-many-operations');
    expect(await world.tick()).toMatchObject({ asked: 1 });
    await world.carryOut();
    for (let round = 0; round < 3; round += 1) await world.tick();
    expect(await world.kinds()).toEqual([kind, kind]);
  });

  test('for an instance whose bill was never paid follows as soon as the instance is there', async () => {
    await say('billing.subscription.created', subscription(1, { configuration }));
    await say('billing.overdue.changed', subscription(2, overdue));
    expect(await world.kinds()).toEqual(['provision']);
    await world.carryOut();
    expect(await world.tick()).toMatchObject({ asked: 1 });
    expect(await world.kinds()).toEqual(['provision', 'suspend']);
  });
});

test('a customer whose bills cannot be read does not hold up the others', async () => {
  const troubles: string[] = [];
  const instance = await world.addInstance();
  await say('billing.overdue.changed', subscription(1, { instance, ...inGrace }));
  await world.pass(14);
  const database = platform();
  const report = await billingUpkeep({
    database: {
      ...database,
      query: database.query,
      transaction: () => Promise.reject(new Failure('unavailable', 'away')),
    },
    eventSource: 'urn:odoo-fleet',
    onTrouble: (what) => void troubles.push(what),
  });
  expect(report).toMatchObject({ customers: 0 });
  expect(troubles).toEqual(['bills of customer c-1']);
});

test('B1: an event that cannot be written is not answered as done', async () => {
  const instance = await world.addInstance();
  const database = platform();
  const failing = billingHandler({
    eventSource: 'urn:odoo-fleet',
    flush: async () => {},
    database: {
      ...database,
      transaction: (work, options) =>
        database.transaction(async (transaction) => {
          await work(transaction);
          throw new Failure('unavailable', 'The connection broke before COMMIT.');
        }, options),
    },
  });
  const event = billingEvent('billing.overdue.changed', subscription(1, { instance, ...overdue }), { id: 'e' });
  await expect(failing(event, anybody)).rejects.toMatchObject({ code: 'unavailable' });
  expect(await world.rows('select * from subscriptions')).toEqual([]);
  expect(await world.kinds()).toEqual([]);
  expect(await world.handle(event)).toBe('applied');
  expect(await world.kinds()).toEqual(['suspend']);
});
