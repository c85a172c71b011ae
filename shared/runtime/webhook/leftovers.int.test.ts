import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { storeDeliveries } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { insertEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeWebhookUpkeep } from './upkeep.ts';

const platform = platformOfThisFile();
let database: Database;
let endpoint: string;
const instance = testInstanceId(1);

beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate webhook_endpoints, webhook_sequences, webhook_deliveries, outbox, instances cascade');
  await database.query('truncate customer_standings');
  await insertTestInstance(database, instance);
  endpoint = await addEndpoint('c-1');
  await addEndpoint('c-2');
});

async function addEndpoint(customerId: string): Promise<string> {
  const id = newOperationId();
  const wanted = { id, customerId, url: 'https://a.example', description: '', types: [], secret: 'wrapped' };
  await insertEndpoint(database, wanted, { actor: 'test' });
  return id;
}

/** What billing or support said of c-1. */
const say = (standing: string, daysAgo: number, source = 'urn:billing') =>
  database.query(
    `insert into customer_standings (source, customer_id, standing, sequence, cause, updated_at)
     values ($1, 'c-1', $2, 1, 'test', now() - $3::integer * interval '1 day')`,
    [source, standing, daysAgo],
  );
const purged = (daysAgo: number) =>
  database.query(
    `update instances set desired_state = 'terminated', desired_before = 'running', terminated_at = now() - interval '90 days',
       purge_after = now() - interval '60 days', purged_at = now() - $1::integer * interval '1 day', host = null`,
    [daysAgo],
  );
const tell = () => {
  const event = {
    id: crypto.randomUUID(),
    type: 't',
    customerId: 'c-1',
    instanceId: instance,
    time: new Date(),
    data: {},
  };
  return storeDeliveries(database, event, { holds: false });
};
const upkeep = () =>
  makeWebhookUpkeep({
    database,
    eventSource: 'urn:odoo-fleet',
    publishStraight: async () => ({ published: [], failed: [] }),
    onTrouble: () => undefined,
  })();

test('an endpoint of a customer who was deleted is deleted when nothing is left to be told, and nobody else’s', async () => {
  await say('deleted', 8);
  // his instance may come back until it is purged
  expect(await upkeep()).toMatchObject({ left: 0 });
  await purged(1);
  expect(await upkeep()).toMatchObject({ left: 0 });
  await purged(8);
  await tell();
  expect(await upkeep()).toMatchObject({ left: 0 });
  await database.query(`update webhook_deliveries set state = 'failed', next_attempt_at = null`);
  expect(await upkeep()).toMatchObject({ left: 1 });
  expect(await upkeep()).toMatchObject({ left: 0 });
  const { rows } = await database.query('select id, secret from webhook_endpoints where deleted_at is not null');
  expect(rows).toEqual([{ id: endpoint, secret: null }]);
  const audited = await database.query<{ actor: string; detail: object }>(
    `select actor, detail from audit where action = 'webhook-endpoint.deleted' and detail ->> 'endpoint' = $1`,
    [endpoint],
  );
  expect(audited.rows).toMatchObject([{ actor: 'urn:odoo-fleet', detail: { customer: 'c-1' } }]);
});

test('who was deleted a moment ago, or has come back, keeps his endpoints', async () => {
  await purged(40);
  await say('deleted', 1);
  expect(await upkeep()).toMatchObject({ left: 0 });
  await database.query('truncate customer_standings');
  await say('deleted', 30);
  await say('active', 10, 'urn:support');
  expect(await upkeep()).toMatchObject({ left: 0 });
});

test('the row goes a month after the deletion, when its deliveries are forgotten', async () => {
  await say('deleted', 60);
  await purged(40);
  expect(await upkeep()).toMatchObject({ left: 1 });
  await database.query(`update webhook_endpoints set deleted_at = now() - interval '31 days' where id = $1`, [
    endpoint,
  ]);
  expect(await upkeep()).toMatchObject({ forgotten: 1 });
  expect((await database.query('select from webhook_endpoints where id = $1', [endpoint])).rowCount).toBe(0);
});

test('of a purged instance what waits is sent, what is over goes after a month, and then its numbers', async () => {
  await tell();
  await purged(31);
  expect(await upkeep()).toMatchObject({ due: 1, forgotten: 0 });
  await database.query(
    `update webhook_deliveries set state = 'held', next_attempt_at = null, created_at = now() - interval '31 days'`,
  );
  expect(await upkeep()).toMatchObject({ forgotten: 2 });
  expect((await database.query('select from webhook_deliveries')).rowCount).toBe(0);
  expect((await database.query('select from webhook_sequences')).rowCount).toBe(0);
});

test('numbers of instances that live are kept, whatever was forgotten', async () => {
  await tell();
  await database.query('delete from webhook_deliveries');
  expect(await upkeep()).toMatchObject({ forgotten: 0 });
  expect((await database.query('select from webhook_sequences')).rowCount).toBe(1);
});

test('a secret of before a rotation is forgotten when its time is over', async () => {
  const rotated = (until: string) =>
    database.query(
      `update webhook_endpoints set previous_secret = 'before', previous_until = now() + $2::interval where id = $1`,
      [endpoint, until],
    );
  await rotated('1 hour');
  expect(await upkeep()).toMatchObject({ forgotten: 0 });
  await rotated('-1 minute');
  expect(await upkeep()).toMatchObject({ forgotten: 1 });
  const { rows } = await database.query('select previous_secret from webhook_endpoints where id = $1', [endpoint]);
  expect(rows).toEqual([{ previous_secret: null }]);
});
