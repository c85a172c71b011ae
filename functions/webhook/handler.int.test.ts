import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test, vi } from 'vitest';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import type { Receiver } from '#shared/adapters/webhook/receiver.fixture.ts';
import { retryDelaysMs } from '#shared/domain/webhook/retry.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { addEndpoint, changed, due, letTimePass, type World, worldOfThisFile } from './world.fixture.ts';

let database: Database;
let receiver: Receiver;
let world: World;
const [one, other] = [testInstanceId(1), testInstanceId(2)];
const { url, bodies, refuse, accept, deliveries, endpoint, outbox } = worldOfThisFile((opened) => {
  ({ database, receiver, world } = opened);
});

async function waitingForLocks(): Promise<number> {
  const { rowCount } = await database.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rowCount;
}
const deleteEndpoint = (queryable: Queryable, id: string) =>
  queryable.query('update webhook_endpoints set deleted_at = clock_timestamp(), secret = null where id = $1', [id]);

describe('an event', () => {
  test('is sent to the endpoint at once, signed, and with the number it has for its instance', async () => {
    const { secret } = await addEndpoint(database, url());
    const id = randomUUID();
    expect(await world.handle(changed(one, { id }))).toBe('stored');
    const [request] = receiver.received;
    expect(request?.headers['webhook-id']).toBe(id);
    const verified = new Webhook(secret.toString('base64')).verify(
      request?.body ?? '',
      request?.headers as Record<string, string>,
    );
    expect(verified).toMatchObject({
      type: 'dev.odoofleet.instance.status.changed',
      instance: one,
      sequence: 1,
      data: { instance: one, to: 'running' },
    });
    expect(verified).not.toHaveProperty('data.reason');
    expect(await deliveries()).toMatchObject([{ state: 'succeeded', attempts: 1 }]);
  });

  test('that the broker sends twice, also at the same time, is one delivery', async () => {
    await addEndpoint(database, url());
    const event = changed(one);
    const outcomes = await Promise.all([world.handle(event), world.handle(event), world.handle(event)]);
    expect(outcomes.toSorted()).toEqual(['nothing-to-do', 'nothing-to-do', 'stored']);
    expect(await world.handle(event)).toBe('nothing-to-do');
    expect(receiver.received).toHaveLength(1);
    await world.handle(changed(one));
    expect(bodies().map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  test('gets the next number of its endpoint and instance, however many come at once', async () => {
    await addEndpoint(database, url());
    await Promise.all(Array.from({ length: 12 }, (_, n) => world.handle(changed(n % 2 === 0 ? one : other))));
    // those for which there was no room
    await world.handle(due);
    const numbers = (instance: string) =>
      bodies()
        .filter((body) => body.instance === instance)
        .map(({ sequence }) => sequence)
        .toSorted((a, b) => a - b);
    expect(numbers(one)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(numbers(other)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('that was not taken shows as a gap until it is sent again', async () => {
    await addEndpoint(database, url());
    await world.handle(changed(one));
    refuse();
    await world.handle(changed(one));
    accept();
    // what comes next is left to the tick, which finds out whether the endpoint is well again
    await world.handle(changed(one));
    await letTimePass(database);
    await world.handle(due);
    expect(
      bodies()
        .map(({ sequence }) => sequence)
        .toSorted((a, b) => a - b),
    ).toEqual([1, 2, 2, 3]);
    expect(world.attempts).toEqual(['taken', 'again', 'taken', 'taken']);
    expect((await deliveries()).every(({ state }) => state === 'succeeded')).toBe(true);
  });

  test('is sent to the endpoints of its customer that want its type, and to no other', async () => {
    await addEndpoint(database, url('/all'));
    await addEndpoint(database, url('/backups'), { types: ['dev.odoofleet.instance.backup.succeeded'] });
    await addEndpoint(database, url('/status'), { types: ['dev.odoofleet.instance.status.changed'] });
    await addEndpoint(database, url('/foreign'), { customerId: 'c-2' });
    await world.handle(changed(one));
    expect(receiver.received.map((request) => request.url).toSorted()).toEqual(['/all', '/status']);
  });

  test('of another source, or from before the endpoint was there, is nobody’s', async () => {
    const late = changed(one);
    await addEndpoint(database, url());
    const before = { ...late, time: new Date(Date.now() - 60_000).toISOString() };
    expect(await world.handle(before)).toBe('nothing-to-do');
    expect(await world.handle({ ...changed(one), source: 'urn:somebody' })).toBe('nothing-to-do');
    expect(receiver.received).toEqual([]);
  });

  test('does not wait for an endpoint that fails: the tick tries it', async () => {
    await addEndpoint(database, url());
    refuse();
    await world.handle(changed(one));
    await world.handle(changed(one));
    expect(receiver.received).toHaveLength(1);
    expect(await deliveries()).toMatchObject([{ attempts: 1 }, { attempts: 0 }]);
  });

  test('does not wait for an endpoint that answers slowly either, nor does the tick: few of its deliveries are under way', async () => {
    await addEndpoint(database, url());
    const waiting: (() => void)[] = [];
    receiver.answer = (_request, response) => void waiting.push(() => void response.writeHead(204).end());
    let answered = 0;
    const handled = Array.from({ length: 12 }, async (_, n) => {
      await world.handle(changed(testInstanceId(n)));
      answered += 1;
    });
    await vi.waitFor(() => expect(answered).toBe(7), 15_000);
    await vi.waitFor(() => expect(receiver.received).toHaveLength(5), 15_000);
    expect(await world.handle(due)).toBe('nothing-to-do');
    accept();
    for (const answer of waiting) answer();
    await Promise.all(handled);
    expect(await world.handle(due)).toBe('sent');
    expect((await deliveries()).map(({ state }) => state)).toEqual(Array(12).fill('succeeded'));
  });

  test('that comes while its endpoint is being deleted is nobody’s', async () => {
    const { id } = await addEndpoint(database, url());
    const handled = await database.transaction(async (transaction) => {
      await deleteEndpoint(transaction, id);
      const pending = world.handle(changed(one));
      await vi.waitFor(async () => expect(await waitingForLocks()).toBe(1), 15_000);
      return { pending };
    });
    expect(await handled.pending).toBe('nothing-to-do');
    expect(await deliveries()).toEqual([]);
    expect(receiver.received).toEqual([]);
  });
});

describe('a delivery', () => {
  test('is tried again when it is due, under the same id and with the same text', async () => {
    await addEndpoint(database, url());
    refuse(503);
    await world.handle(changed(one));
    expect(await world.handle(due)).toBe('nothing-to-do');
    await letTimePass(database);
    accept();
    expect(await world.handle(due)).toBe('sent');
    const [first, second] = receiver.received;
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(await deliveries()).toMatchObject([{ state: 'succeeded', attempts: 2 }]);
    const { rows } = await database.query('select status, error from webhook_attempts order by sequence');
    expect(rows).toEqual([
      { status: 503, error: 'answered 503' },
      { status: 204, error: null },
    ]);
  });

  test('whose sender died is sent when its lease is over, and by one sender only', async () => {
    await addEndpoint(database, url());
    refuse();
    await world.handle(changed(one));
    await database.query('update webhook_deliveries set attempts = 1');
    await database.query('update webhook_endpoints set failing_since = null');
    await letTimePass(database);
    accept();
    await Promise.all([world.handle(due), world.handle(due), world.handle(due)]);
    expect(receiver.received).toHaveLength(2);
  });

  test('is given up after three days, and its endpoint disabled, announced and audited when it took nothing meanwhile', async () => {
    const { id } = await addEndpoint(database, url());
    refuse();
    await world.handle(changed(one));
    await world.handle(changed(other));
    for (let n = 0; n < retryDelaysMs.length; n += 1) {
      expect(await endpoint(id)).toMatchObject({ disabled_reason: null });
      // the second one has its turn when the first is not due
      await database.query(
        `update webhook_deliveries set next_attempt_at = now() where state = 'waiting' and instance_id = $1`,
        [one],
      );
      await database.query(
        `update webhook_deliveries set next_attempt_at = now() + interval '1 hour' where instance_id = $1`,
        [other],
      );
      await world.handle(due);
    }
    expect(await endpoint(id)).toMatchObject({ disabled_reason: 'failing' });
    expect(await deliveries()).toMatchObject([{ state: 'failed', attempts: 10 }, { state: 'held' }]);
    expect(await outbox()).toMatchObject([
      { type: 'dev.odoofleet.webhook.endpoint.disabled', data: { endpoint: id, customer: 'c-1', reason: 'failing' } },
    ]);
    expect(world.flushes).toBe(1);
    const { rows } = await database.query(
      `select detail ->> 'reason' as reason from audit where action = 'webhook-endpoint.disabled' and detail ->> 'endpoint' = $1`,
      [id],
    );
    expect(rows).toEqual([{ reason: 'failing' }]);
  });

  test('that is given up does not disable an endpoint that took others', async () => {
    const { id } = await addEndpoint(database, url());
    receiver.answer = ({ body }, response) => void response.writeHead(body.includes(one) ? 500 : 204).end();
    await world.handle(changed(one));
    await database.query(`update webhook_deliveries set attempts = $1, begun_at = now() - interval '3 days'`, [
      retryDelaysMs.length,
    ]);
    await database.query('update webhook_endpoints set failing_since = null');
    await world.handle(changed(other));
    await letTimePass(database);
    await world.handle(due);
    expect(await deliveries()).toMatchObject([{ state: 'failed' }, { state: 'succeeded' }]);
    expect(await endpoint(id)).toMatchObject({ disabled_reason: null, failing_since: expect.any(Date) });
  });
});
