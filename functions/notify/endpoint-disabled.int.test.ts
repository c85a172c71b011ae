import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type WebhookEndpointDisabled, webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import { type MailServer, openMailServer } from '#shared/adapters/mail/mail-server.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { storeDeliveries } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { changeEndpoint, deleteEndpoint, insertEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { recordAttempt } from '#shared/adapters/postgres/webhook-results.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { makeMailUpkeep } from '#shared/runtime/notification/upkeep.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { NotifyEvent } from './handler.ts';
import { due, letTimePass, openWorld, source, type World } from './world.fixture.ts';

const platform = platformOfThisFile();
let database: Database;
let server: MailServer;
let world: World;
const [one, other, foreign] = [testInstanceId(1), testInstanceId(2), testInstanceId(3)];
const target = { customerId: 'c-1', generation: undefined };

beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate mails, bounced_addresses, outbox, instances, webhook_endpoints cascade');
  for (const id of [one, other, foreign]) await insertTestInstance(database, id);
  await owner(one, 'one@acme.example', `created_at = now() - interval '1 day'`);
  await owner(other, 'other@acme.example', `created_at = now() - interval '2 days', language = 'de_DE'`);
  await database.query(`insert into customers (id) values ('c-2') on conflict do nothing`);
  await owner(foreign, 'foreign@example.com', `customer_id = 'c-2'`);
  server = await openMailServer();
  world = openWorld(database, server.port);
});
afterEach(async () => {
  await world.end();
  await server.close();
});

const owner = (instance: string, address: string, more: string) =>
  database.query(`update instances set admin_login = $2, ${more} where id = $1`, [instance, address]);

/** An endpoint of c-1 that is disabled as the function webhook does it; the event that says so. */
async function disabled(): Promise<{ id: string; event: NotifyEvent }> {
  const id = newOperationId();
  const url = 'https://hooks.example.com/services/secret-of-the-path?token=secret-of-the-customer';
  await insertEndpoint(
    database,
    { id, customerId: 'c-1', url, description: '', types: [], secret: 'wrapped' },
    { actor: 'test' },
  );
  const told = { id: crypto.randomUUID(), type: 't', customerId: 'c-1', instanceId: one, time: new Date(), data: {} };
  const { held } = await storeDeliveries(database, told, { holds: true });
  const [delivery] = held;
  if (delivery === undefined) throw new Error('there is a delivery');
  const ended = { status: 410, error: 'answered 410', milliseconds: 1, verdict: { is: 'gone' } } as const;
  expect(await recordAttempt(database, delivery, ended, { eventSource: source })).toBe('disabled');
  const { rows } = await database.query<{ id: string; data: WebhookEndpointDisabled }>(
    'select id, data from outbox where type = $1',
    [webhookEndpointDisabled.type],
  );
  const event = { ...rows[0], type: webhookEndpointDisabled.type, source, time: new Date().toISOString() };
  return { id, event: { ...event, extensions: { tenantid: 'c-1' } } as unknown as NotifyEvent };
}

/** Without the codes and line ends of quoted-printable. */
const plain = (text = '') =>
  text
    .replaceAll('=\r\n', '')
    .replaceAll(/((?:=[0-9A-F]{2})+)/g, (codes) => Buffer.from(codes.replaceAll('=', ''), 'hex').toString('utf8'));
async function states(): Promise<unknown[]> {
  return (await database.query('select state, last_error from mails')).rows;
}

test('the owner of an endpoint that was disabled is told once, with the calls that enable it again', async () => {
  const { id, event } = await disabled();
  const outcomes = await Promise.all([world.handle(event), world.handle(event)]);
  expect(outcomes.toSorted()).toEqual(['nothing-to-do', 'sent']);
  expect(server.received.map(({ to }) => to)).toEqual(['one@acme.example']);
  const text = plain(server.received[0]?.text);
  expect(text).toContain('Subject: Your webhook endpoint was disabled');
  expect(text).toContain(`hooks.example.com (${id}) was disabled`);
  expect(text).toContain('410 Gone');
  expect(text).toContain(`PATCH https://api.odoo.example/v1/webhook-endpoints/${id} {"enabled": true}`);
  expect(text).toContain(`POST https://api.odoo.example/v1/webhook-endpoints/${id}/replay {"since": "`);
  expect(text).toMatch(/<html lang="en">[^]*\/replay \{&quot;since&quot;/);
  expect(text).not.toContain('secret-of-the-customer');
});

test('who has several instances is told at the address and in the language of the one that lives, and was made last', async () => {
  await database.query(
    `update instances set desired_state = 'terminated', desired_before = 'running', terminated_at = now(), purge_after = now()
     where id = $1`,
    [one],
  );
  await world.handle((await disabled()).event);
  expect(server.received.map(({ to }) => to)).toEqual(['other@acme.example']);
  const text = plain(server.received[0]?.text);
  expect(text).toContain('wurde am');
  expect(text).toContain('PATCH https://api.odoo.example/v1/webhook-endpoints/');
});

test('nobody is told of an endpoint that was enabled again, or deleted, before the mail could be sent', async () => {
  server.onRecipient = () => ({ code: 451, text: '4.7.1 Greylisted' });
  const first = await disabled();
  expect(await world.handle(first.event)).toBe('queued');
  await changeEndpoint(database, { ...target, id: first.id }, { change: { isEnabled: true }, actor: 'test' });
  server.onRecipient = () => undefined;
  await letTimePass(database);
  await world.handle(due);
  expect(await states()).toMatchObject([{ state: 'failed', last_error: expect.stringContaining('enabled again') }]);
  await database.query('truncate mails, outbox');
  await deleteEndpoint(database, { ...target, id: first.id }, { actor: 'test' });
  const second = await disabled();
  await deleteEndpoint(database, { ...target, id: second.id }, { actor: 'test' });
  expect(await world.handle(second.event)).toBe('failed');
  expect(server.received).toEqual([]);
});

test('an event that a broker has lost is found in the outbox, and a customer without an instance is told nothing', async () => {
  await disabled();
  await database.query(`update outbox set created_at = now() - interval '2 minutes'`);
  const upkeep = () =>
    makeMailUpkeep({
      database,
      eventSource: source,
      publishStraight: async () => ({ published: [], failed: [] }),
      onTrouble: () => undefined,
    })();
  await database.query(`update instances set admin_login = 'admin' where customer_id = 'c-1'`);
  expect(await upkeep()).toEqual({ found: 0, due: 0, forgotten: 0 });
  await owner(one, 'one@acme.example', 'updated_at = now()');
  expect(await upkeep()).toEqual({ found: 1, due: 1, forgotten: 0 });
  expect(await world.handle(due)).toBe('sent');
  expect(await upkeep()).toEqual({ found: 0, due: 0, forgotten: 0 });
  expect(server.received.map(({ to }) => to)).toEqual(['one@acme.example']);
});
