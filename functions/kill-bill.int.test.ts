import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { acmeFields, killBillWorld } from './kill-bill.fixture.ts';

const platform = platformOfThisFile();
let world: Awaited<ReturnType<typeof killBillWorld>>;
beforeAll(async () => {
  world = await killBillWorld(platform);
});
afterAll(() => world.close());
beforeEach(() => world.resetAll());

const inDays = (days: number) => new Date(world.clock().getTime() + days * 86_400_000).toISOString().slice(0, 10);

describe('SUBSCRIPTION_CREATION', () => {
  it('in a trial asks for one instance, with its plan and what its custom fields say', async () => {
    const subscription = world.desk.subscribe(world.desk.account());
    world.desk.addFields(subscription, {
      ...acmeFields,
      instance_odoo_version: '17.0',
      instance_custom_addons: 'sale, crm',
    });
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
    const [asked] = (await world.asked()).filter(({ kind }) => kind === 'provision');
    expect(asked?.data).toMatchObject({
      name: 'acme-odoo',
      customer: 'c-1',
      plan: 'small',
      owner: { email: 'owner@acme.example' },
      image: 'odoo-17',
      modules: ['sale', 'crm'],
    });
    expect(await world.said()).toMatchObject([{ type: 'subscription.created', data: { subscription, sequence: 1 } }]);
  });

  it('without a trial waits for the payment', async () => {
    const subscription = world.desk.subscribe(world.desk.account(), { phaseType: 'EVERGREEN' });
    world.desk.addFields(subscription, acmeFields);
    const invoice = world.desk.invoice([subscription]);
    await world.settle();
    expect(await world.operations()).toEqual([]);
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
  });

  it('that is only requested says nothing until it takes effect', async () => {
    const subscription = world.desk.subscribe(world.desk.account(), { state: 'PENDING' });
    world.desk.addFields(subscription, acmeFields);
    await world.settle();
    expect(await world.said()).toEqual([]);
    const record = world.records.subscriptions.get(subscription);
    if (record !== undefined) record.state = 'ACTIVE';
    world.desk.say('SUBSCRIPTION_CREATION', record?.accountId ?? null);
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
  });

  it('of a reactivation pays for the instance that is there', async () => {
    const { account, subscription, instance } = await world.running();
    world.desk.cancel(subscription);
    await world.settle();
    await world.carryOut();
    const next = world.desk.subscribe(account, { phaseType: 'EVERGREEN' });
    world.desk.addFields(next, { ...acmeFields, reactivation: 'true', target_instance_id: instance });
    const invoice = world.desk.invoice([next]);
    await world.settle();
    expect(await world.operations()).toEqual(['terminate']);
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['terminate', 'undo']);
  });

  it('of an add-on makes no instance', async () => {
    const subscription = world.desk.subscribe(world.desk.account(), { productCategory: 'ADD_ON' });
    world.desk.addFields(subscription, acmeFields);
    await world.settle();
    expect(await world.said()).toEqual([]);
  });
});

describe('INVOICE_PAYMENT_SUCCESS', () => {
  it('of a part of the invoice is no payment yet', async () => {
    const subscription = world.desk.subscribe(world.desk.account(), { phaseType: 'EVERGREEN' });
    world.desk.addFields(subscription, acmeFields);
    const invoice = world.desk.invoice([subscription]);
    world.desk.pay(invoice, { amount: 4 });
    await world.settle();
    expect(await world.saidTypes()).not.toContain('invoice.paid');
    expect(await world.operations()).toEqual([]);
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
  });

  it('of a renewal is told, with its invoice, and asks for nothing', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription]);
    world.desk.pay(invoice);
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({ type: 'invoice.paid', data: { invoice, paid: true } });
    expect(await world.operations()).toEqual([]);
  });

  it('of an invoice for two subscriptions is told for both', async () => {
    const account = world.desk.account();
    const both = ['a', 'b'].map((name) => {
      const id = world.desk.subscribe(account, { phaseType: 'EVERGREEN' });
      world.desk.addFields(id, { ...acmeFields, instance_subdomain: name });
      return id;
    });
    world.desk.pay(world.desk.invoice(both));
    await world.settle();
    expect((await world.saidTypes()).filter((type) => type === 'invoice.paid')).toHaveLength(2);
    expect(await world.operations()).toEqual(['provision', 'provision']);
  });

  it('after a suspension resumes', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
    world.desk.pay(invoice, { isPaid: false });
    await world.settle();
    await world.carryOut();
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['suspend', 'resume']);
  });
});

describe('INVOICE_PAYMENT_FAILED', () => {
  it('is told with its invoice and borne for the grace of the plan; then it suspends', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription]);
    world.desk.pay(invoice, { isPaid: false });
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({
      type: 'invoice.payment.failed',
      data: { invoice, paid: false },
    });
    expect(await world.operations()).toEqual([]);
    await world.pass(20);
    await world.tick();
    expect(await world.operations()).toEqual(['suspend']);
  });

  it('a second time is told a second time', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription]);
    world.desk.pay(invoice, { isPaid: false });
    await world.settle();
    world.desk.pay(invoice, { isPaid: false });
    await world.settle();
    expect((await world.saidTypes()).filter((type) => type === 'invoice.payment.failed')).toHaveLength(2);
  });
});

describe('the end of a subscription', () => {
  it('SUBSCRIPTION_CANCEL that is REQUESTED for a day to come ends nothing before it takes EFFECT', async () => {
    const { subscription } = await world.running();
    world.desk.cancel(subscription, inDays(10));
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({
      type: 'subscription.cancelled',
      data: { ends: { at: `${inDays(10)}T23:59:59.000Z`, by: 'cancellation' } },
    });
    expect(await world.operations()).toEqual([]);
    world.desk.cancel(subscription);
    await world.settle();
    expect(await world.operations()).toEqual(['terminate']);
  });

  it('SUBSCRIPTION_UNCANCEL takes a cancellation back, before its effect and after', async () => {
    const { subscription } = await world.running();
    world.desk.cancel(subscription, inDays(10));
    await world.settle();
    world.desk.uncancel(subscription);
    await world.settle();
    expect((await world.saidTypes()).at(-1)).toBe('subscription.uncancelled');
    expect(await world.operations()).toEqual([]);
    world.desk.cancel(subscription);
    await world.settle();
    await world.carryOut();
    world.desk.uncancel(subscription);
    await world.settle();
    expect(await world.operations()).toEqual(['terminate', 'undo']);
  });

  it('SUBSCRIPTION_EXPIRED terminates', async () => {
    const { subscription } = await world.running();
    world.desk.expire(subscription);
    await world.settle();
    expect((await world.saidTypes()).at(-1)).toBe('subscription.expired');
    expect(await world.operations()).toEqual(['terminate']);
  });

  it('an unpaid invoice that is written off after it is owed no more', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-5) });
    world.desk.cancel(subscription);
    await world.settle();
    world.desk.writeOff(invoice);
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({ type: 'overdue.changed', data: { overduesince: null } });
    expect(await world.operations()).toEqual(['terminate']);
  });
});

describe('what changes in between', () => {
  it('SUBSCRIPTION_PHASE: the end of the trial is told, and the first invoice may be open for a while', async () => {
    const account = world.desk.account();
    const instance = await world.addInstance();
    const subscription = world.desk.subscribe(account);
    world.desk.addFields(subscription, { target_instance_id: instance });
    await world.settle();
    world.desk.endTrial(subscription);
    world.desk.invoice([subscription]);
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({
      type: 'subscription.phase.changed',
      data: { phase: 'evergreen', paid: false },
    });
    expect(await world.operations()).toEqual([]);
  });

  it('SUBSCRIPTION_CHANGE: the new plan is told, and counts', async () => {
    const { subscription } = await world.running();
    world.desk.changePlan(subscription, 'Large');
    await world.settle();
    expect((await world.said()).at(-1)).toMatchObject({ type: 'subscription.changed', data: { plan: 'large' } });
    expect(await world.operations()).toEqual([]);
  });

  it('INVOICE_CREATION: an open invoice is past due when its days are over, by time alone', async () => {
    const { subscription } = await world.running();
    const count = (await world.said()).length;
    world.desk.invoice([subscription]);
    await world.settle();
    expect(await world.said()).toHaveLength(count);
    const [due] = await world.rows<{ look_at: Date | null }>('select look_at from kill_bill_accounts');
    expect(due?.look_at?.toISOString()).toBe(`${inDays(1)}T00:00:00.000Z`);
    world.standIn.pass(2 * 86_400_000);
    await world.tickLooks();
    expect((await world.said()).at(-1)).toMatchObject({ type: 'overdue.changed', data: { paid: false } });
    expect(await world.operations()).toEqual([]);
  });

  it.each(['BUNDLE_PAUSE and BUNDLE_RESUME', 'BLOCKING_STATE and OVERDUE_CHANGE'])(
    '%s suspend and resume',
    async (types) => {
      const { account, subscription } = await world.running();
      const block = (isBlocked: boolean) =>
        types.startsWith('BUNDLE')
          ? world.desk.setPaused(subscription, isBlocked)
          : world.desk.setOverdue(account, isBlocked);
      block(true);
      await world.settle();
      await world.carryOut();
      block(false);
      await world.settle();
      expect(await world.operations()).toEqual(['suspend', 'resume']);
    },
  );
});

describe('types that change nothing by themselves', () => {
  it.each([
    ...['ENTITLEMENT_CREATION', 'ENTITLEMENT_CANCEL', 'INVOICE_NOTIFICATION', 'INVOICE_ADJUSTMENT', 'PAYMENT_SUCCESS'],
    ...['PAYMENT_FAILED', 'TAG_CREATION', 'TAG_DELETION', 'CUSTOM_FIELD_CREATION', 'CUSTOM_FIELD_DELETION'],
    ...['ACCOUNT_CHANGE', 'SUBSCRIPTION_BCD_CHANGE', 'PING', 'UNKNOWN', 'SUBSCRIPTION_CANCELLATION', 'INVOICE_OVERDUE'],
  ])('%s is kept, looked at, and nothing is said', async (type) => {
    const { account } = await world.running();
    const said = (await world.said()).length;
    world.desk.say(type, account);
    await world.settle();
    expect(world.push.statuses.at(-1)).toBe(202);
    expect(await world.said()).toHaveLength(said);
  });

  it.each(['TENANT_CONFIG_CHANGE', 'TENANT_CONFIG_DELETION', 'BROADCAST_SERVICE'])(
    '%s is of no account: it is noted',
    async (type) => {
      world.desk.say(type, null);
      await world.settle();
      expect(world.push.statuses).toEqual([202]);
      expect(await world.rows('select type from billing_notifications')).toEqual([{ type }]);
      expect(await world.asked()).toEqual([]);
    },
  );
});
