import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { statusChanged } from '#events/instance/status-changed.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { storeDeliveries } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { insertEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeWebhookUpkeep } from './upkeep.ts';

const platform = platformOfThisFile();
let database: Database;
let endpointId: string;
let asked: OutgoingEvent[];
const instance = testInstanceId(1);

beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate webhook_endpoints, webhook_sequences, webhook_deliveries, webhook_attempts, outbox');
  asked = [];
  endpointId = await addEndpoint();
});

async function addEndpoint(customerId = 'c-1'): Promise<string> {
  const id = newOperationId();
  const endpoint = { id, customerId, url: 'http://x', description: '', types: [], secret: 'wrapped' };
  await insertEndpoint(database, endpoint, { actor: 'test' });
  await database.query(`update webhook_endpoints set since = now() - interval '1 day' where id = $1`, [id]);
  return id;
}

function upkeep() {
  return makeWebhookUpkeep({
    database,
    eventSource: 'urn:odoo-fleet',
    publishStraight: async (name, events) => {
      expect(name).toBe('webhook');
      asked.push(...events);
      return { published: events.map(({ id }) => id), failed: [] };
    },
    onTrouble: (what, error) => {
      throw new Error(what, { cause: error });
    },
  })();
}

const eventOf = (id = randomUUID()) =>
  announce(statusChanged, { ...statusChanged.example, instance, customer: 'c-1' }, { id, source: 'urn:odoo-fleet' });
async function write(event: OutgoingEvent, minutesAgo: number): Promise<void> {
  await enqueue(database, [event]);
  await database.query(
    `update outbox set created_at = now() - $2::integer * interval '1 minute', published_at = now() where id = $1`,
    [event.id, minutesAgo],
  );
}
async function states(): Promise<string[]> {
  const { rows } = await database.query<{ state: string }>('select state from webhook_deliveries order by sequence');
  return rows.map(({ state }) => state);
}

describe('the tick', () => {
  test('asks for nothing while nothing is due', async () => {
    expect(await upkeep()).toEqual({ found: 0, due: 0, left: 0, forgotten: 0 });
    expect(asked).toEqual([]);
  });

  test('finds events that a broker has lost, once, and asks for them', async () => {
    await write(eventOf(), 5);
    expect(await upkeep()).toMatchObject({ found: 1, due: 1 });
    expect(asked).toMatchObject([{ type: 'dev.odoofleet.webhook.due', data: { deliveries: 1, by: 'tick' } }]);
    expect(await upkeep()).toMatchObject({ found: 0, due: 1 });
    expect(await states()).toEqual(['waiting']);
  });

  test('leaves alone what a broker may still bring, what is old, what came, and what is of no endpoint', async () => {
    await write(eventOf(), 0);
    await write(eventOf(), 90);
    await write({ ...eventOf(), extensions: { tenantid: 'c-2' } }, 5);
    await write({ ...eventOf(), type: 'dev.odoofleet.notification.requested' }, 5);
    const came = eventOf();
    await write(came, 5);
    const told = { id: came.id, type: came.type, customerId: 'c-1', instanceId: instance, time: new Date(), data: {} };
    expect(await storeDeliveries(database, told, { holds: false })).toMatchObject({ stored: 1 });
    expect(await upkeep()).toMatchObject({ found: 0 });
  });

  test('asks for one delivery of an endpoint that fails, and for none of a disabled or deleted one', async () => {
    for (let n = 0; n < 3; n += 1) await write(eventOf(), 5);
    expect(await upkeep()).toMatchObject({ found: 3, due: 3 });
    await database.query('update webhook_endpoints set failing_since = now()');
    expect(await upkeep()).toMatchObject({ due: 1 });
    await database.query(`update webhook_endpoints set disabled_reason = 'gone', disabled_at = now()`);
    expect(await upkeep()).toMatchObject({ due: 0 });
  });

  test('forgets what is older than a month and over, and then the deleted endpoint it was for', async () => {
    for (let n = 0; n < 2; n += 1) await write(eventOf(), 5);
    await upkeep();
    await database.query(`update webhook_deliveries set created_at = now() - interval '31 days'`);
    await database.query(`update webhook_deliveries set state = 'failed', next_attempt_at = null where sequence = 1`);
    await database.query(
      `update webhook_endpoints set deleted_at = now() - interval '31 days', secret = null where id = $1`,
      [endpointId],
    );
    expect(await upkeep()).toMatchObject({ forgotten: 1 });
    expect(await states()).toEqual(['waiting']);
    await database.query(`update webhook_deliveries set state = 'held', next_attempt_at = null`);
    expect(await upkeep()).toMatchObject({ forgotten: 2 });
    expect((await database.query('select from webhook_endpoints')).rowCount).toBe(0);
  });
});
