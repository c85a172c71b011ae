import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventByType } from '#events/catalogue.ts';
import { billingStateOf } from '#shared/adapters/postgres/subscriptions.ts';
import { refuseByBilling } from '#shared/domain/billing/gate.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { subscription as exampleOf } from './billing/billing.fixture.ts';
import { acmeFields, killBillWorld, postSigned, type signed, token } from './kill-bill.fixture.ts';

// What the older platform lost, did twice or believed, by the numbers of its findings.
const platform = platformOfThisFile();
let world: Awaited<ReturnType<typeof killBillWorld>>;
beforeAll(async () => {
  world = await killBillWorld(platform);
});
afterAll(() => world.close());
beforeEach(() => world.resetAll());

const day = 86_400_000;
const inDays = (days: number) => new Date(world.clock().getTime() + days * day).toISOString().slice(0, 10);
const trialOf = (account: string, fields: Record<string, string> = acmeFields) => {
  const id = world.desk.subscribe(account);
  world.desk.addFields(id, fields);
  return id;
};

const sendSigned = (...message: Parameters<typeof signed>) => postSigned(world, ...message);

describe('events that were lost', () => {
  it('B1: what cannot be kept is answered 503, and done when Kill Bill sends it again', async () => {
    trialOf(world.desk.account());
    world.state.isDatabaseAway = true;
    await world.settle();
    expect(new Set(world.push.statuses)).toEqual(new Set([503]));
    world.state.isDatabaseAway = false;
    await world.settle();
    expect(await world.operations()).toEqual([]);
    world.standIn.pass(900_000);
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
    expect(world.push.waiting()).toEqual([]);
  });

  it('B2: a body that is lost is no success, and an offer of HTTP/2 loses none', async () => {
    const empty = await world.post(`/kill-bill?token=${token}`, '');
    expect(empty.status).toBe(400);
    // the stand-in posts as Java does, with Upgrade: h2c
    world.desk.say('PING', world.desk.account());
    await world.settle();
    expect(new Set(world.push.statuses)).toEqual(new Set([202]));
  });

  it('B4: custom fields that come after the subscription are waited for, even when nobody tells of them', async () => {
    const subscription = world.desk.subscribe(world.desk.account());
    await world.settle();
    expect(await world.operations()).toEqual([]);
    world.desk.addFields(subscription, acmeFields);
    world.push.lose();
    await world.tickLooks();
    expect(await world.operations()).toEqual(['provision']);
  });

  it('B5: fields that never come are told to people, once, and nothing breaks', async () => {
    world.desk.subscribe(world.desk.account());
    await world.settle();
    for (let look = 0; look < 20; look += 1) await world.tickLooks();
    const problems = `select detail ->> 'problem' as problem from audit where action = 'billing.account-problem'`;
    expect(await world.rows(problems)).toEqual([{ problem: expect.stringContaining('instance_admin_email') }]);
    expect(await world.rows('select look_at from kill_bill_accounts')).toEqual([{ look_at: null }]);
  });

  it('B10: what Kill Bill really says of overdue accounts and withdrawn cancellations has its effect', async () => {
    const { account, subscription } = await world.running();
    world.desk.setOverdue(account, true);
    await world.settle();
    await world.carryOut();
    world.desk.setOverdue(account, false);
    world.desk.cancel(subscription, inDays(5));
    world.desk.uncancel(subscription);
    await world.settle();
    expect(await world.operations()).toEqual(['suspend', 'resume']);
  });
});

describe('events that were believed', () => {
  it.each([
    ['no token', '/kill-bill', {}],
    ['another token', '/kill-bill?token=guess', {}],
    ['a part of the token', `/kill-bill?token=${token.slice(0, -1)}`, {}],
    ['another password', '/kill-bill', { authorization: `Basic ${btoa('kill-bill:guess')}` }],
    ['no signature', '/events', {}],
  ])('B3: with %s nothing is kept, and the answer is 401', async (_, path, headers: Record<string, string>) => {
    const body = JSON.stringify({ eventType: 'SUBSCRIPTION_CANCEL', accountId: world.desk.account() });
    const answer = await world.post(path, body, headers);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(await world.rows('select 1 from billing_notifications')).toEqual([]);
  });

  it('B3: what a notification claims is not believed, whoever sends it', async () => {
    const { account, subscription } = await world.running();
    const claims = {
      eventType: 'SUBSCRIPTION_CANCEL',
      accountId: account,
      objectId: subscription,
      objectType: 'SUBSCRIPTION',
    };
    const body = JSON.stringify({ ...claims, metaData: JSON.stringify({ actionType: 'EFFECTIVE' }) });
    const answer = await world.post('/kill-bill', body, { authorization: `Basic ${btoa('any:the-next-token')}` });
    expect(answer.status).toBe(202);
    await world.drain();
    expect(await world.operations()).toEqual([]);
  });
});

describe('what was done twice, or in the wrong order', () => {
  it('B6: while Kill Bill is down nothing is decided, and afterwards there is one instance', async () => {
    trialOf(world.desk.account());
    await world.standIn.goDown();
    await world.settle();
    await world.tickLooks();
    expect(await world.operations()).toEqual([]);
    await world.standIn.comeBack();
    await world.tickLooks();
    await world.tickLooks();
    expect(await world.operations()).toEqual(['provision']);
  });

  it('B11: notifications that come ten times are one effect', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
    world.desk.pay(invoice, { isPaid: false });
    await world.settle((due) => Array.from({ length: 10 }, () => due).flat());
    expect(await world.operations()).toEqual(['suspend']);
    expect((await world.saidTypes()).filter((type) => type === 'invoice.payment.failed')).toHaveLength(1);
    const [most] = await world.rows<{ deliveries: number }>(
      'select max(deliveries) as deliveries from billing_notifications',
    );
    expect(most?.deliveries).toBeGreaterThanOrEqual(1);
  });

  it('B11: a failed payment that is told after the successful one suspends nobody', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
    world.desk.pay(invoice, { isPaid: false });
    world.desk.pay(invoice);
    await world.settle((due) => due.toReversed());
    expect(await world.operations()).toEqual([]);
    expect(await world.saidTypes()).not.toContain('invoice.payment.failed');
  });

  it('B11: in whatever order and however often notifications come, what is said ends in what is', async () => {
    for (let run = 0; run < 5; run += 1) {
      await world.resetAll();
      const { subscription } = await world.running();
      const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
      world.desk.pay(invoice, { isPaid: false });
      world.desk.setPaused(subscription, true);
      world.desk.setPaused(subscription, false);
      world.desk.changePlan(subscription, `plan-${run}`);
      world.desk.pay(invoice);
      const shuffle = <Item>(items: Item[]) => items.toSorted(() => Math.random() - 0.5);
      await world.settle((due) => shuffle([...due, ...due]));
      const said = await world.said();
      expect(said.at(-1)?.data).toMatchObject({ plan: `plan-${run}`, paid: true, overduesince: null });
      const sequences = said.map(({ data }) => data['sequence']);
      expect(sequences).toEqual(sequences.map((_, index) => index + 1));
    }
  });

  it('B13: of two trials at once a customer gets one', async () => {
    const account = world.desk.account();
    trialOf(account, { ...acmeFields, instance_subdomain: 'first' });
    trialOf(account, { ...acmeFields, instance_subdomain: 'second' });
    await world.settle();
    expect(await world.operations()).toEqual(['provision']);
    expect(await world.rows('select trial from subscriptions order by trial')).toEqual([
      { trial: 'granted' },
      { trial: 'refused' },
    ]);
  });

  it('B14: a signed payment counts once, however often it is sent, and another message under its id is refused', async () => {
    const data = exampleOf(1, { subscription: 's-9', customer: 'c-1' });
    const message = { type: 'dev.odoofleet.billing.invoice.paid', data: { ...data, invoice: 'i-1' } };
    expect([await sendSigned('m-1', message), await sendSigned('m-1', message)]).toEqual([202, 202]);
    expect(await world.saidTypes()).toEqual(['invoice.paid']);
    expect(await sendSigned('m-1', { ...message, data: { ...message.data, sequence: 2 } })).toBe(422);
    expect(await world.rows('select deliveries from billing_notifications')).toEqual([{ deliveries: 2 }]);
  });
});

describe('what an instance does', () => {
  it('B7: a payment after a suspension resumes', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
    await world.settle();
    await world.carryOut();
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['suspend', 'resume']);
  });

  it('B8: who is suspended or paused cannot start, and is told why', async () => {
    const { subscription, instance } = await world.running();
    world.desk.setPaused(subscription, true);
    await world.settle();
    expect(refuseByBilling(await billingStateOf(platform(), instance))?.message).toContain('paused');
    world.desk.setPaused(subscription, false);
    await world.settle();
    expect(refuseByBilling(await billingStateOf(platform(), instance))).toBeUndefined();
  });

  it('B9: an instance is not written down as suspended: its operation is asked for, which stops it', async () => {
    const { subscription, instance } = await world.running();
    const columns = 'select status, desired_state, generation from instances where id = $1';
    const before = await world.rows(columns, [instance]);
    world.desk.setPaused(subscription, true);
    await world.settle();
    expect(await world.operations()).toEqual(['suspend']);
    expect(await world.rows(columns, [instance])).toEqual(before);
    expect(await world.rows('select 1 from suspensions')).toEqual([]);
  });

  it('B12: an upgrade that is paid while the instance is suspended is told, and resumes', async () => {
    const { subscription } = await world.running();
    const invoice = world.desk.invoice([subscription], { invoiceDate: inDays(-20) });
    await world.settle();
    await world.carryOut();
    world.desk.changePlan(subscription, 'large');
    world.desk.pay(invoice);
    await world.settle();
    expect(await world.operations()).toEqual(['suspend', 'resume']);
    expect((await world.said()).at(-1)?.data).toMatchObject({ plan: 'large', paid: true });
  });

  it('B15: the end of a subscription asks for a termination, which can be undone, and never for a purge', async () => {
    const { subscription } = await world.running();
    world.desk.cancel(subscription);
    await world.settle();
    await world.carryOut();
    await world.tick();
    expect(await world.operations()).toEqual(['terminate']);
    world.desk.uncancel(subscription);
    await world.settle();
    expect(await world.operations()).toEqual(['terminate', 'undo']);
  });

  it.each([
    ['17.0', 'odoo-17'],
    ['18', 'odoo-18'],
    ['', undefined],
  ])('B16: the Odoo version %j of the custom fields becomes the image %j', async (version, image) => {
    trialOf(world.desk.account(), { ...acmeFields, instance_odoo_version: version });
    await world.settle();
    const [asked] = await world.asked();
    expect(asked?.kind).toBe('provision');
    expect(asked?.data['image']).toBe(image);
  });
});

describe('what is answered and told', () => {
  it('B17: success says that it is kept, and nothing else is success', async () => {
    const account = world.desk.account();
    const good = JSON.stringify({ eventType: 'PING', accountId: account });
    const path = `/kill-bill?token=${token}`;
    const first = await world.post(path, good);
    expect([first.status, await first.json()]).toEqual([202, { status: 'accepted' }]);
    expect(await (await world.post(path, good)).json()).toEqual({ status: 'repeated' });
    const wrong = await world.post(path, JSON.stringify({ eventType: 'PING', accountId: 'not-a-uuid' }));
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { field: 'accountId' }]);
  });

  it('B18: a customer who is deleted has his instances terminated', async () => {
    await world.running();
    const message = { type: 'dev.odoofleet.customer.deleted', data: { customer: 'c-1', sequence: 1 } };
    expect(await sendSigned('m-2', message)).toBe(202);
    await world.drain();
    expect(await world.operations()).toEqual(['terminate']);
  });

  it('B19: everything that is said of an upgrade is an event of the catalogue', async () => {
    const { subscription } = await world.running();
    world.desk.changePlan(subscription, 'large');
    world.desk.pay(world.desk.invoice([subscription]));
    await world.settle();
    const types = await world.rows<{ type: string }>('select distinct type from outbox');
    for (const { type } of types) expect(eventByType(type), type).toBeDefined();
    expect(await world.saidTypes()).toContain('subscription.changed');
  });
});
