import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type HeldDelivery, storeDeliveries, takeDue } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { changeEndpoint, rotateSecret } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { redeliver, replay } from '#shared/adapters/postgres/webhook-log.ts';
import { recordAttempt } from '#shared/adapters/postgres/webhook-results.ts';
import { openReceiver, type Receiver } from '#shared/adapters/webhook/receiver.fixture.ts';
import { newSecret } from '#shared/domain/webhook/secret.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { addEndpoint, changed, due, letTimePass, secrets, type World, worldOfThisFile } from './world.fixture.ts';

let database: Database;
let receiver: Receiver;
let world: World;
const one = testInstanceId(1);
const { url, bodies, refuse, accept, deliveries, endpoint, outbox } = worldOfThisFile(
  (opened) => {
    ({ database, receiver, world } = opened);
  },
  { timeoutMs: 2_000 },
);

describe('an endpoint', () => {
  test('that answers 410 is disabled at once; what comes then is kept, and sent by a replay', async () => {
    const { id } = await addEndpoint(database, url());
    refuse(410);
    await world.handle(changed(one));
    expect(await endpoint(id)).toMatchObject({ disabled_reason: 'gone' });
    expect(await outbox()).toHaveLength(1);
    accept();
    await world.handle(changed(one));
    await world.handle(due);
    expect(receiver.received).toHaveLength(1);
    const owner = { customerId: 'c-1' };
    const since = new Date(0);
    const target = { endpointId: id, ...owner };
    await expect(replay(database, target, { since, actor: 'test' })).rejects.toMatchObject({ code: 'not-allowed' });
    await changeEndpoint(
      database,
      { id, generation: undefined, ...owner },
      { change: { isEnabled: true }, actor: 'a' },
    );
    await expect(
      replay(database, { endpointId: id, customerId: 'c-2' }, { since, actor: 'test' }),
    ).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await replay(database, target, { since, actor: 'test' })).toBe(2);
    await world.handle(due);
    // what is due is sent at the same time: the numbers tell the order
    const numbers = bodies().map(({ sequence }) => sequence);
    expect(numbers.toSorted((x, y) => x - y)).toEqual([1, 1, 2]);
  });

  test('may have a delivery once more that it has taken', async () => {
    const { id } = await addEndpoint(database, url());
    await world.handle(changed(one));
    const [delivery] = await deliveries();
    const target = { id: delivery?.id ?? '', endpointId: id, customerId: 'c-1' };
    expect(await redeliver(database, target, { actor: 'test' })).toMatchObject({ state: 'waiting', attempts: 0 });
    await world.handle(due);
    expect(receiver.received).toHaveLength(2);
    expect(receiver.received[1]?.headers['webhook-id']).toBe(receiver.received[0]?.headers['webhook-id']);
  });

  test('asked for anew while it is being sent, keeps the sender from before out of the new try', async () => {
    const { id } = await addEndpoint(database, url());
    const event = { id: randomUUID(), type: changed(one).type, customerId: 'c-1', instanceId: one, time: new Date() };
    const { held } = await storeDeliveries(database, { ...event, data: {} }, { holds: true });
    const [before] = held;
    const target = { id: before?.id ?? '', endpointId: id, customerId: 'c-1' };
    await redeliver(database, target, { actor: 'test' });
    const [now] = await takeDue(database, { endpoints: 1 });
    expect(now).toMatchObject({ id: before?.id, attempt: 1 });
    const end = (delivery: HeldDelivery | undefined) =>
      recordAttempt(
        database,
        delivery as HeldDelivery,
        { status: 500, error: 'answered 500', milliseconds: 1, verdict: { is: 'given-up' } },
        { eventSource: 'urn:odoo-fleet' },
      );
    expect(await end(before)).toBe('lost');
    expect(await deliveries()).toMatchObject([{ state: 'waiting' }]);
    expect(await end(now)).not.toBe('lost');
    expect(await deliveries()).toMatchObject([{ state: 'failed' }]);
  });

  test('verifies by the old and the new secret while both are in use, then by the new one only', async () => {
    const { id, secret } = await addEndpoint(database, url());
    const next = newSecret();
    const wrapped = await secrets.wrap(next, id);
    await rotateSecret(database, { id, customerId: 'c-1' }, { secret: wrapped, overlapHours: 24, actor: 'test' });
    await world.handle(changed(one));
    await database.query(`update webhook_endpoints set previous_until = now() - interval '1 second'`);
    await world.handle(changed(one));
    const verifies = (by: Buffer, at: number) => () =>
      new Webhook(by.toString('base64')).verify(
        receiver.received[at]?.body ?? '',
        receiver.received[at]?.headers as Record<string, string>,
      );
    expect(verifies(secret, 0)).not.toThrow();
    expect(verifies(next, 0)).not.toThrow();
    expect(verifies(secret, 1)).toThrow();
    expect(verifies(next, 1)).not.toThrow();
  });

  test('that is slow or dead keeps no other waiting', async () => {
    const dead = await openReceiver();
    dead.answer = () => undefined;
    await addEndpoint(database, `http://127.0.0.1:${dead.port}/`, { types: ['dev.odoofleet.instance.status.changed'] });
    for (let n = 0; n < 3; n += 1) await world.handle(changed(testInstanceId(n)));
    await addEndpoint(database, url());
    await world.handle(changed(one));
    expect(receiver.received).toHaveLength(1);
    await letTimePass(database);
    await world.handle(due);
    // of one that fails, one at a time
    expect(dead.received.length).toBeLessThanOrEqual(6);
    await dead.close();
  }, 60_000);

  test('secret of another row opens nothing', async () => {
    const { id } = await addEndpoint(database, url());
    const { id: second } = await addEndpoint(database, url());
    await database.query(
      'update webhook_endpoints set secret = (select secret from webhook_endpoints where id = $1) where id = $2',
      [id, second],
    );
    await world.handle(changed(one));
    expect(receiver.received).toHaveLength(1);
    expect(world.troubles.splice(0)).toEqual([expect.stringContaining('was wrapped for another')]);
  });
});
