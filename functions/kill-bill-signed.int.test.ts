import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { subscription as exampleOf } from './billing/billing.fixture.ts';
import { killBillWorld, postSigned, signed } from './kill-bill.fixture.ts';

const platform = platformOfThisFile();
let world: Awaited<ReturnType<typeof killBillWorld>>;
beforeAll(async () => {
  world = await killBillWorld(platform);
});
afterAll(() => world.close());
beforeEach(() => world.resetAll());
const sendSigned = (...message: Parameters<typeof signed>) => postSigned(world, ...message);

describe('a signed message', () => {
  const message = { type: 'dev.odoofleet.billing.subscription.changed', data: exampleOf(1) };
  it.each([
    ['of another secret', { secret: `whsec_${btoa('another secret of somebody')}` }],
    ['that is older than five minutes', { aheadMs: -310_000 }],
    ['from a clock far ahead', { aheadMs: 3_600_000 }],
  ])('%s is refused', async (_, { aheadMs = 0, ...how }: { aheadMs?: number; secret?: string }) => {
    expect(await sendSigned('m-3', message, { at: new Date(Date.now() + aheadMs), ...how })).toBe(401);
  });

  it('whose body was changed on its way is refused', async () => {
    const { body, headers } = signed('m-4', message);
    expect((await world.post('/events', body.replace('small', 'large'), headers)).status).toBe(401);
  });

  it.each([
    [{ ...message, type: 'dev.odoofleet.instance.purge.requested' }, 'type'],
    [{ ...message, type: 'dev.odoofleet.billing.account.refresh' }, 'type'],
    [{ ...message, data: { ...message.data, plan: 7 } }, 'data'],
    [{ ...message, more: 1 }, 'more'],
  ])('with what it may not say is refused, and the field is named (%#)', async (wrong, field) => {
    const { body, headers } = signed('m-5', wrong);
    const answer = await world.post('/events', body, headers);
    expect([answer.status, await answer.json()]).toMatchObject([400, { field }]);
    expect(await world.rows('select 1 from billing_notifications')).toEqual([]);
  });
});
