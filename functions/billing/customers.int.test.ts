import { beforeEach, describe, expect, test } from 'vitest';
import { billingStateOf } from '#shared/adapters/postgres/subscriptions.ts';
import { refuseByBilling } from '#shared/domain/billing/gate.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { billingEvent, billingWorld, cancelled, configuration, overdue, subscription } from './billing.fixture.ts';

const platform = platformOfThisFile();
const world = billingWorld(platform);
const { say } = world;
beforeEach(() => world.reset());

const customer = (sequence: number, id = 'c-1') => ({ customer: id, sequence });
const stateOf = (instanceId: string) => billingStateOf(platform(), instanceId);

describe('a customer', () => {
  test('B18: who is deleted has all his instances terminated, and nobody else’s', async () => {
    const own = [await world.addInstance(1), await world.addInstance(2)];
    await world.addInstance(3, 'c-2');
    await say('customer.deleted', customer(1));
    expect((await world.asked()).map(({ kind, data }) => [kind, data['instance']])).toEqual(
      own.map((id) => ['terminate', id]),
    );
  });

  test('who is deactivated has them suspended, and resumed with his reactivation', async () => {
    await world.addInstance(1);
    await world.addInstance(2);
    await say('customer.deactivated', customer(1));
    await world.carryOut();
    await say('customer.reactivated', customer(2));
    expect(await world.kinds()).toEqual(['suspend', 'suspend', 'resume', 'resume']);
  });

  test('who is reactivated gets back only what is paid', async () => {
    const [paid, open] = [await world.addInstance(1), await world.addInstance(2)];
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance: open }));
    await world.carryOut();
    await say('customer.deactivated', customer(1));
    await world.carryOut();
    await say('customer.reactivated', customer(2));
    const resumed = (await world.asked()).filter(({ kind }) => kind === 'resume');
    expect(resumed.map(({ data }) => data['instance'])).toEqual([paid]);
  });

  test('who pays while he is deactivated stays suspended', async () => {
    const instance = await world.addInstance();
    await say('customer.deactivated', customer(1));
    await say('billing.invoice.paid', { ...subscription(1, { instance }), invoice: 'i-1' });
    expect(await world.kinds()).toEqual(['suspend']);
  });

  test('who is reactivated after his deletion has it undone, and then what was suspended before resumed', async () => {
    await world.addInstance();
    await say('customer.deactivated', customer(1));
    await world.carryOut();
    await say('customer.deleted', customer(2));
    await world.carryOut();
    await say('customer.reactivated', customer(3));
    expect(await world.kinds()).toEqual(['suspend', 'terminate', 'undo']);
    await world.carryOut();
    await world.tick();
    expect(await world.kinds()).toEqual(['suspend', 'terminate', 'undo', 'resume']);
  });

  test('is what the newest news of a source say, late ones are recorded', async () => {
    await world.addInstance();
    await say('customer.reactivated', customer(5));
    expect(await say('customer.deactivated', customer(4))).toBe('superseded');
    expect(await say('customer.deleted', customer(5))).toBe('superseded');
    expect(await world.kinds()).toEqual([]);
    // across sources the order of arrival decides
    expect(await say('customer.deactivated', customer(1), { source: 'urn:support' })).toBe('applied');
    expect(await world.kinds()).toEqual(['suspend']);
  });
});

describe('who may say what', () => {
  test('B3: a source that speaks for one customer says nothing about another', async () => {
    const instance = await world.addInstance(1, 'c-2');
    const event = billingEvent(
      'billing.subscription.cancelled',
      subscription(1, { customer: 'c-2', instance, ...cancelled }),
    );
    expect(await world.handle(event, { customerId: 'c-1' })).toBe('refused');
    expect(await world.handle(billingEvent('customer.deleted', customer(1, 'c-2')), { customerId: 'c-1' })).toBe(
      'refused',
    );
    expect(await world.kinds()).toEqual([]);
    expect(await world.rows('select * from subscriptions')).toEqual([]);
    expect(await world.rows('select * from customer_standings')).toEqual([]);
    expect(await world.outcomes()).toEqual(['refused: not-allowed', 'refused: not-allowed']);
    expect(await world.handle(billingEvent('customer.deleted', customer(1, 'c-2')), { customerId: 'c-2' })).toBe(
      'applied',
    );
  });

  test('a subscription that names another customer’s instance has no effect, is recorded and tells nothing', async () => {
    const instance = await world.addInstance(1, 'c-2');
    expect(await say('billing.subscription.cancelled', subscription(1, { instance, ...cancelled }))).toBe('refused');
    expect(await say('billing.subscription.created', subscription(2, { instance, configuration }))).toBe('refused');
    expect(await world.outcomes()).toEqual(['refused: not-found', 'refused: not-found']);
    expect(await world.rows('select * from subscriptions')).toEqual([]);
    expect(await world.asked()).toEqual([]);
    expect(await stateOf(instance)).toBe('none');
    const [entry] = await world.rows<{ instance_id: string | null; detail: object }>(
      `select instance_id, detail from audit where action = 'billing.refused' order by sequence desc limit 1`,
    );
    expect(entry).toMatchObject({ instance_id: null, detail: { code: 'not-found', instance } });
    expect(JSON.stringify(entry)).not.toContain('c-2');
  });

  test('a subscription does not change hands', async () => {
    await say('billing.subscription.created', subscription(1));
    expect(await say('billing.subscription.changed', subscription(2, { customer: 'c-2' }))).toBe('refused');
    expect(await world.rows('select customer_id, sequence from subscriptions')).toEqual([
      { customer_id: 'c-1', sequence: 1 },
    ]);
  });

  test('a subscription pays for one instance for life', async () => {
    const [first, second] = [await world.addInstance(1), await world.addInstance(2)];
    await say('billing.subscription.created', subscription(1, { instance: first }));
    expect(await say('billing.subscription.cancelled', subscription(2, { instance: second, ...cancelled }))).toBe(
      'refused',
    );
    expect(await world.kinds()).toEqual([]);
  });

  test('the same subscription id of another source is another subscription', async () => {
    const instance = await world.addInstance();
    await say('billing.subscription.created', subscription(7, { instance }));
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }), { source: 'urn:other' });
    expect(await world.kinds()).toEqual(['suspend']);
  });

  test('an instance nobody knows is kept in mind and nothing is asked of it, until it comes', async () => {
    const instance = testInstanceId(77);
    expect(await say('billing.overdue.changed', subscription(1, { ...overdue, instance }))).toBe('applied');
    expect(await world.kinds()).toEqual([]);
    await world.pass(1);
    expect(await world.tick()).toMatchObject({ customers: 1, asked: 0 });
    expect(await world.tick()).toMatchObject({ customers: 0 });
    await world.addInstance(77);
    expect(await stateOf(instance)).toBe('overdue');
    await world.pass(1);
    expect(await world.tick()).toMatchObject({ asked: 1 });
    expect(await world.kinds()).toEqual(['suspend']);
  });

  test('an instance nobody knew that turns out to be another customer’s is left alone', async () => {
    const instance = testInstanceId(77);
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }));
    await world.addInstance(77, 'c-2');
    await world.pass(1);
    await world.tick();
    expect(await stateOf(instance)).toBe('none');
    await say('billing.overdue.changed', subscription(2, overdue));
    expect(await world.kinds()).toEqual([]);
  });
});

describe('the billing gate', () => {
  test('B8: says what the bills say, whoever asks for a start', async () => {
    const instance = await world.addInstance();
    expect(await stateOf(instance)).toBe('none');
    await say('billing.subscription.created', subscription(1, { instance, phase: 'trial' }));
    expect(await stateOf(instance)).toBe('trial');
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    expect(refuseByBilling(await stateOf(instance))).toBeUndefined();
    await say('billing.overdue.changed', subscription(3, overdue));
    expect(refuseByBilling(await stateOf(instance))).toMatchObject({ code: 'not-allowed' });
    await say('billing.subscription.cancelled', subscription(4, cancelled));
    expect(await stateOf(instance)).toBe('cancelled');
    await say('customer.deactivated', customer(1));
    expect(await stateOf(instance)).toBe('cancelled');
    await say('billing.subscription.uncancelled', subscription(5));
    expect(await stateOf(instance)).toBe('deactivated');
  });

  test('of an instance that is not there holds nothing up', async () => {
    expect(await stateOf(testInstanceId(99))).toBe('none');
  });
});
