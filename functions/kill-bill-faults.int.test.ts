import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { putOffLook, takeLook } from '#shared/adapters/postgres/kill-bill-accounts.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { acmeFields, killBillWorld, token } from './kill-bill.fixture.ts';

const platform = platformOfThisFile();
let world: Awaited<ReturnType<typeof killBillWorld>>;
beforeAll(async () => {
  world = await killBillWorld(platform);
});
afterAll(() => world.close());
beforeEach(() => world.resetAll());

const path = `/kill-bill?token=${token}`;
const trial = () => {
  const account = world.desk.account();
  const subscription = world.desk.subscribe(account);
  world.desk.addFields(subscription, acmeFields);
  return { account, subscription };
};
const accountRow = async () =>
  (
    await world.rows<{ attempts: number; wait: number; asked: number; looked: number; last_error: string | null }>(
      `select attempts, asked, looked, last_error, extract(epoch from look_at - now())::integer as wait from kill_bill_accounts`,
    )
  )[0];

describe('while Kill Bill is down', () => {
  it('for ten minutes, it is asked with growing waits, and then everything is made up for', async () => {
    trial();
    await world.standIn.goDown();
    await world.settle();
    const waits: number[] = [];
    for (let tick = 0; tick < 12; tick += 1) {
      const row = await accountRow();
      waits.push(Math.round((row?.wait ?? 0) / 5) * 5);
      expect(row?.last_error).toContain('cannot be reached');
      await world.tickLooks();
    }
    expect(waits.slice(0, 5)).toEqual([5, 10, 20, 40, 60]);
    expect(new Set(waits.slice(4))).toEqual(new Set([60]));
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeGreaterThan(550);
    expect(new Set(world.push.statuses)).toEqual(new Set([202]));
    await world.standIn.comeBack();
    await world.tickLooks();
    expect(await world.operations()).toEqual(['provision']);
    expect(await accountRow()).toMatchObject({ attempts: 0, last_error: null });
  });

  it.each([
    ['refuses us', 401, 'refuses us'],
    ['breaks', 500, 'status 500'],
  ])('or %s, nothing is decided, and people can read why', async (_, status, text) => {
    trial();
    world.standIn.state.before = (__, response) => {
      response.writeHead(status).end('{}');
      return true;
    };
    await world.settle();
    expect(await world.operations()).toEqual([]);
    expect((await accountRow())?.last_error).toContain(text);
    world.standIn.state.before = undefined;
    await world.tickLooks();
    expect(await world.operations()).toEqual(['provision']);
  });
});

describe('a look', () => {
  it('is somebody’s alone, and its result counts only as long as it is his', async () => {
    const { account } = trial();
    await world.push.deliver();
    const taken = await takeLook(platform(), account);
    expect(taken).toBeDefined();
    expect(await world.refresh(account)).toBe('held');
    await platform().query(`update kill_bill_accounts set leased_until = now() - interval '1 second'`);
    const second = await takeLook(platform(), account);
    if (taken === undefined || second === undefined) throw new Error('it was not taken');
    // the first one wakes up
    await putOffLook(platform(), taken, { afterMs: 1, reason: 'late' });
    expect((await accountRow())?.attempts).toBe(0);
    await platform().query('update kill_bill_accounts set leased_until = null');
    expect(await world.refresh(account)).toBe('looked');
  });

  it('during which something is told is followed by another one', async () => {
    const { account, subscription } = trial();
    await world.push.deliver();
    let isFirst = true;
    // The account was read; before the rest is, something is told. The broken connection is tried again.
    world.standIn.state.before = (asked, response) => {
      if (!isFirst || !asked.endsWith('/bundles')) return false;
      isFirst = false;
      world.desk.changePlan(subscription, 'large');
      const body = JSON.stringify({ eventType: 'SUBSCRIPTION_CHANGE', accountId: account });
      void world.post(path, body).then(() => response.destroy());
      return true;
    };
    const before = (await accountRow())?.asked ?? 0;
    await world.refresh(account);
    expect(await accountRow()).toMatchObject({ asked: before + 1, looked: before });
    await world.drain();
    expect((await world.said()).at(-1)?.data).toMatchObject({ plan: 'large' });
    expect(await accountRow()).toMatchObject({ asked: before + 1, looked: before + 1 });
  });

  it('at a hundred notifications of one account at once is asked for a few times, and nothing is missed', async () => {
    const { account } = trial();
    world.push.lose();
    const types = Array.from({ length: 100 }, (_, number) => `TYPE_${'A'.repeat(1 + (number % 50))}`);
    const answers = await Promise.all(
      types.map((eventType) => world.post(path, JSON.stringify({ eventType, accountId: account }))),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(await world.rows('select 1 from outbox')).toHaveLength(1);
    await world.drain();
    expect(await world.operations()).toEqual(['provision']);
    expect(await accountRow()).toMatchObject({ asked: 100, looked: 100 });
    expect(await world.rows('select sum(deliveries)::integer as all from billing_notifications')).toEqual([
      { all: 100 },
    ]);
  });

  it('that a broker lost is asked for again by the tick', async () => {
    trial();
    await world.push.deliver();
    await platform().query('delete from outbox');
    await world.tickLooks();
    expect(await world.operations()).toEqual(['provision']);
  });
});

describe('what is not kept', () => {
  it.each([
    ['another method', () => fetch(`${world.url}${path}`), 405],
    ['another path', () => world.post('/', '{}'), 404],
    ['another path of the same beginning', () => world.post('/kill-bill/../x', '{}'), 404],
    ['no JSON', () => world.post(path, 'eventType=PING'), 400],
    ['what is no object', () => world.post(path, '[]'), 400],
    [
      'bytes that are no UTF-8',
      () => fetch(`${world.url}${path}`, { method: 'POST', body: Buffer.from([0x7b, 0xff, 0x7d]) }),
      400,
    ],
    ['deep nesting', () => world.post(path, `${'['.repeat(5_000)}${']'.repeat(5_000)}`), 400],
    [
      'a type with a line break',
      () => world.post(path, JSON.stringify({ eventType: 'PING\nX', accountId: null })),
      400,
    ],
    [
      'a NUL in the account',
      () => world.post(path, JSON.stringify({ eventType: 'PING', accountId: '\u0000'.repeat(36) })),
      400,
    ],
  ])('is %s', async (_, send, status) => {
    const answer = await send();
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.text()).not.toContain(token);
    expect(await world.rows('select 1 from billing_notifications')).toEqual([]);
  });
});
