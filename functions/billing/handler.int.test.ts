import { beforeEach, describe, expect, test } from 'vitest';
import { billingStateOf } from '#shared/adapters/postgres/subscriptions.ts';
import { refuseByBilling } from '#shared/domain/billing/gate.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { billingWorld, cancelled, configuration, inDays, overdue, subscription } from './billing.fixture.ts';

const platform = platformOfThisFile();
const world = billingWorld(platform);
const { say } = world;
beforeEach(() => world.reset());

const derivedId = deriveInstanceId('urn:billing', 'subscription s-1');

describe('a subscription that asks for an instance', () => {
  test('in its trial gets one at once, with the plan and the configuration it names', async () => {
    const data = subscription(1, {
      phase: 'trial',
      paid: false,
      configuration: { ...configuration, language: 'de_DE' },
    });
    expect(await say('billing.subscription.created', data, { id: 'created' })).toBe('applied');
    expect(await world.asked()).toMatchObject([
      {
        kind: 'provision',
        data: {
          instance: derivedId,
          customer: 'c-1',
          plan: 'small',
          name: 'acme',
          owner: { email: 'owner@acme.example' },
          language: 'de_DE',
        },
      },
    ]);
    const [event] = await world.rows<object>('select source, subject, extensions from outbox');
    const extensions = { partitionkey: derivedId, causationid: 'created' };
    expect(event).toEqual({ source: 'urn:odoo-fleet', subject: derivedId, extensions });
    expect(world.flushed()).toBeGreaterThan(0);
  });

  test('without a trial gets one when it is paid', async () => {
    await say('billing.subscription.created', subscription(1, { paid: false, configuration }));
    expect(await world.kinds()).toEqual([]);
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    expect(await world.kinds()).toEqual(['provision']);
  });

  test('B4: whose configuration comes later waits for it', async () => {
    await say('billing.subscription.created', subscription(1, { phase: 'trial' }));
    expect(await world.kinds()).toEqual([]);
    await say('billing.subscription.changed', subscription(2, { phase: 'trial', configuration }));
    expect(await world.kinds()).toEqual(['provision']);
  });

  test('B4: whose configuration was overtaken by its payment loses nothing', async () => {
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    expect(await say('billing.subscription.created', subscription(1, { paid: false, configuration }))).toBe(
      'completed',
    );
    expect(await world.kinds()).toEqual(['provision']);
  });

  test('B6: gets one instance, whatever comes how often and at once', async () => {
    const types = ['subscription.created', 'subscription.changed', 'subscription.phase.changed', 'overdue.changed'];
    const events = Array.from({ length: 10 }, (_, at) => {
      return [`billing.${types[at % 4]}`, subscription(at + 1, { configuration })] as const;
    });
    await Promise.all([...events, ...events].map(([type, data]) => say(type, data)));
    expect(await world.kinds()).toEqual(['provision']);
    await world.carryOut();
    await say('billing.invoice.paid', { ...subscription(20), invoice: 'i-1' });
    expect(await world.kinds()).toEqual(['provision']);
  });

  test('is refused one once, and asks again when its configuration is another', async () => {
    await say('billing.subscription.created', subscription(1, { configuration }));
    await world.carryOut('refused: not-allowed');
    await world.tick();
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    expect(await world.kinds()).toEqual(['provision']);
    await say('billing.subscription.changed', subscription(3, { configuration: { ...configuration, name: 'other' } }));
    expect(await world.asked()).toMatchObject([
      {},
      { kind: 'provision', data: { name: 'other', instance: derivedId } },
    ]);
  });

  test('that is cancelled before it was paid gets none', async () => {
    await say('billing.subscription.created', subscription(1, { paid: false, configuration }));
    await say('billing.subscription.cancelled', subscription(2, cancelled));
    expect(await world.kinds()).toEqual([]);
  });
});

describe('payment', () => {
  const failed = (sequence: number, change = {}) => ({ ...subscription(sequence, overdue), invoice: 'i-1', ...change });
  const paid = (sequence: number, change = {}) => ({ ...subscription(sequence, change), invoice: 'i-1' });

  test('that failed is borne within the grace of the plan', async () => {
    const instance = await world.addInstance();
    expect(await say('billing.invoice.payment.failed', failed(1, { instance, overduesince: inDays(-13) }))).toBe(
      'applied',
    );
    expect(await world.kinds()).toEqual([]);
  });

  test('that failed suspends at once where the plan has no grace', async () => {
    const instance = await world.addInstance();
    await world.rows('update plans set grace_days = 0');
    await say('billing.invoice.payment.failed', failed(1, { instance, overduesince: inDays(0) }));
    expect(await world.asked()).toMatchObject([
      {
        kind: 'suspend',
        data: { instance, cause: 'billing', sequence: 1, reason: expect.stringContaining('overdue') },
      },
    ]);
  });

  test('that failed does nothing where the plan says so', async () => {
    const instance = await world.addInstance();
    await world.rows(`update plans set on_overdue = 'nothing'`);
    await say('billing.invoice.payment.failed', failed(1, { instance }));
    expect(await world.kinds()).toEqual([]);
  });

  test('B7: after a suspension resumes, and closes billing’s reason only', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }));
    await world.carryOut();
    await say('billing.invoice.paid', paid(2));
    expect(await world.asked()).toMatchObject([
      { kind: 'suspend', data: { cause: 'billing', sequence: 1 } },
      { kind: 'resume', data: { instance, cause: 'billing', sequence: 2 } },
    ]);
  });

  test('lifts a suspension for billing that an operator asked for', async () => {
    const instance = await world.addInstance();
    await world.rows(`insert into suspensions (instance_id, reason, cause) values ($1, 'billing', 'jane')`, [instance]);
    await say('billing.subscription.changed', subscription(1, { instance }));
    expect(await world.kinds()).toEqual([]);
    await say('billing.invoice.paid', paid(2));
    expect(await world.kinds()).toEqual(['resume']);
  });

  test('of one invoice of two does not resume', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }));
    await say('billing.invoice.paid', paid(2, { paid: false, overduesince: inDays(-2) }));
    expect(await world.kinds()).toEqual(['suspend']);
  });

  test('of one subscription does not resume while another of the instance is open', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }));
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance, subscription: 's-2' }));
    await say('billing.invoice.paid', paid(2));
    expect(await world.kinds()).toEqual(['suspend']);
    await say('billing.invoice.paid', paid(2, { subscription: 's-2' }));
    expect(await world.kinds()).toEqual(['suspend', 'resume']);
  });

  test('B12: with a new plan resumes all the same', async () => {
    const instance = await world.addInstance();
    await say('billing.overdue.changed', subscription(1, { ...overdue, instance }));
    await say('billing.invoice.paid', paid(2, { plan: 'large' }));
    expect(await world.kinds()).toEqual(['suspend', 'resume']);
    expect(await world.rows('select plan_id from subscriptions')).toEqual([{ plan_id: 'large' }]);
  });
});

describe('the end of a subscription', () => {
  test('B10: a cancellation for the end of the term waits for it, and can be withdrawn', async () => {
    const instance = await world.addInstance();
    const ends = { at: inDays(10), by: 'cancellation' } as const;
    await say('billing.subscription.cancelled', subscription(1, { instance, ends }));
    await world.tick();
    expect(await world.kinds()).toEqual([]);
    await say('billing.subscription.uncancelled', subscription(2));
    await world.pass(11);
    await world.tick();
    expect(await world.kinds()).toEqual([]);
  });

  test('takes effect when its moment comes without another event', async () => {
    const instance = await world.addInstance();
    const ends = { at: inDays(10), by: 'cancellation' } as const;
    await say('billing.subscription.cancelled', subscription(1, { instance, ends }));
    await world.pass(11);
    expect(await world.tick()).toMatchObject({ asked: 1 });
    expect(await world.asked()).toMatchObject([{ kind: 'terminate', data: { instance } }]);
    await say('billing.subscription.cancelled', subscription(2, cancelled));
    expect(await world.kinds()).toEqual(['terminate']);
  });

  test.each([
    ['cancelled', 'cancellation', {}, ['terminate']],
    ['expired', 'expiry', {}, ['terminate']],
    ['cancelled', 'cancellation', { on_cancellation: 'suspend' }, ['suspend']],
    ['expired', 'expiry', { on_expiry: 'suspend' }, ['suspend']],
    ['cancelled', 'cancellation', { on_cancellation: 'nothing' }, []],
    ['expired', 'expiry', { on_expiry: 'nothing' }, []],
  ])('%s, by %s, under a plan with %j asks for %j', async (word, by, policy, kinds) => {
    const instance = await world.addInstance();
    for (const [column, value] of Object.entries(policy)) await world.rows(`update plans set ${column} = $1`, [value]);
    await say(`billing.subscription.${word}`, { ...subscription(1, { instance }), ends: { at: inDays(-1), by } });
    expect(await world.kinds()).toEqual(kinds);
  });

  test('is taken back by an undo when the cancellation is withdrawn after it took effect', async () => {
    const instance = await world.addInstance();
    await say('billing.subscription.cancelled', subscription(1, { instance, ...cancelled }));
    await world.carryOut();
    await say('billing.subscription.uncancelled', subscription(2));
    expect(await world.kinds()).toEqual(['terminate', 'undo']);
  });

  test.each(['coalesced', 'refused: terminated'] as const)(
    'is not taken back where somebody else had asked for the end: its request was %s',
    async (outcome) => {
      const instance = await world.addInstance();
      await say('billing.subscription.cancelled', subscription(1, { instance, ...cancelled }));
      await world.rows(`update instances set desired_state = 'terminated' where id = $1`, [instance]);
      await world.carryOut(outcome);
      await say('billing.subscription.uncancelled', subscription(2));
      await world.tick();
      expect(await world.kinds()).toEqual(['terminate']);
    },
  );

  test('does not overtake itself: an undo waits until the termination has arrived', async () => {
    const instance = await world.addInstance();
    await say('billing.subscription.cancelled', subscription(1, { instance, ...cancelled }));
    await say('billing.subscription.uncancelled', subscription(2));
    expect(await world.kinds()).toEqual(['terminate']);
    await world.carryOut();
    await world.tick();
    expect(await world.kinds()).toEqual(['terminate', 'undo']);
  });

  test('is over with a new subscription for the instance, as soon as that is paid', async () => {
    const instance = await world.addInstance();
    await say('billing.subscription.expired', {
      ...subscription(1, { instance }),
      ends: { at: inDays(-1), by: 'expiry' },
    });
    await world.carryOut();
    const next = { subscription: 's-2', instance };
    await say('billing.subscription.created', subscription(1, { ...next, paid: false }));
    expect(await world.kinds()).toEqual(['terminate']);
    // nor can it be undone by hand before that
    expect(refuseByBilling(await billingStateOf(platform(), instance))).toMatchObject({ code: 'not-allowed' });
    await say('billing.invoice.paid', { ...subscription(2, next), invoice: 'i-9' });
    expect(await world.kinds()).toEqual(['terminate', 'undo']);
  });

  test('of a trial, with the first invoice open, asks for nothing', async () => {
    const instance = await world.addInstance();
    await say('billing.subscription.created', subscription(1, { instance, phase: 'trial' }));
    await say('billing.subscription.phase.changed', subscription(2, { paid: false }));
    expect(await world.kinds()).toEqual([]);
  });

  test('of one that a person has terminated asks for nothing, and a later payment does not bring it back', async () => {
    const instance = await world.addInstance();
    await world.rows(`update instances set desired_state = 'terminated'`);
    await say('billing.subscription.cancelled', subscription(1, { instance, ...cancelled }));
    await say('billing.invoice.paid', { ...subscription(2), invoice: 'i-1' });
    expect(await world.kinds()).toEqual([]);
  });
});
