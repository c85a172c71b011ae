import { createHash, randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { recordEvent } from './inbox.ts';
import { trimInbox } from './inbox-retention.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
  await insertTestInstance(database, testInstanceId(1));
});
beforeEach(() => database.query('truncate inbox, operations cascade'));

type Told = { operationId?: string; type?: string };

async function received(id: string, daysAgo: number, { operationId, type = 'a' }: Told = {}): Promise<void> {
  await database.query(
    `insert into inbox (source, id, type, data_hash, operation_id, outcome, received_at)
     values ('urn:billing', $1, $5, $2, $3, 'accepted', now() - $4::integer * interval '1 day')`,
    [id, createHash('sha256').update(id).digest(), operationId ?? null, daysAgo, type],
  );
}

async function operation(state: string): Promise<string> {
  const id = randomUUID();
  await database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by,
       cause, request, finished_at)
     values ($1::uuid, $2, 'provision', 1, $3, now(), $1::text, 'urn:billing', 'x', '{}', now())`,
    [id, testInstanceId(1), state],
  );
  return id;
}

const left = async () => {
  const { rows } = await database.query<{ id: string }>('select id from inbox order by id');
  return rows.map(({ id }) => id);
};

test('events of the last 90 days stay known, older ones go', async () => {
  await received('1', 0);
  await received('2', 89);
  await received('3', 91);
  expect(await trimInbox(database, { limit: 10 })).toBe(1);
  expect(await left()).toEqual(['1', '2']);
});

test('the oldest go first, so many at a time', async () => {
  for (let age = 100; age < 105; age += 1) await received(String(age), age);
  expect(await trimInbox(database, { limit: 2 })).toBe(2);
  expect(await left()).toEqual(['100', '101', '102']);
  expect(await trimInbox(database, { limit: 10 })).toBe(3);
  expect(await trimInbox(database, { limit: 10 })).toBe(0);
});

test('the event of an operation that is not finished stays, however old, and holds up no other', async () => {
  await received('finished', 100, { operationId: await operation('succeeded') });
  await received('waiting', 200, { operationId: await operation('waiting') });
  expect(await trimInbox(database, { limit: 1 })).toBe(1);
  expect(await left()).toEqual(['waiting']);
});

test('two ticks at once share the work, and neither waits for the other', async () => {
  for (let number = 0; number < 20; number += 1) await received(String(number), 100);
  const trimmed = await Promise.all([1, 2, 3].map(() => trimInbox(database, { limit: 10 })));
  expect(trimmed.reduce((sum, one) => sum + one, 0) + (await left()).length).toBe(20);
});

test('an event that comes while its row is being deleted is new, and its operation may follow in the same transaction', async () => {
  await received('1', 100);
  const event = { source: 'urn:billing', id: '1', type: 'a', dataHash: createHash('sha256').digest(), outcome: 'new' };
  await database.transaction(async (transaction) => {
    expect(await trimInbox(transaction, { limit: 10 })).toBe(1);
    expect(await recordEvent(transaction, { ...event, operationId: null })).toBe('new');
  });
  expect(await left()).toEqual(['1']);
});

test('what Knative told of a cluster goes after a day', async () => {
  const type = 'dev.knative.apiserver.resource.update';
  await received('1', 0, { type });
  await received('2', 2, { type });
  await received('3', 2);
  expect(await trimInbox(database, { limit: 10 })).toBe(1);
  expect(await left()).toEqual(['1', '3']);
});

test('how far the news of an object had come is forgotten after a day, what a source counts is not', async () => {
  await database.query(`insert into streams (source, stream, sequence, updated_at) values
    ('urn:cluster', 'Deployment odoo-tenants/odoo-a', 1, now() - interval '25 hours'),
    ('urn:cluster', 'Deployment odoo-tenants/odoo-b', 1, now() - interval '23 hours'),
    ('urn:billing', 'subscription-1', 1, now() - interval '1 year')`);
  expect(await trimInbox(database, { limit: 1 })).toBe(0);
  const { rows } = await database.query<{ stream: string }>('select stream from streams order by stream');
  expect(rows.map(({ stream }) => stream)).toEqual(['Deployment odoo-tenants/odoo-b', 'subscription-1']);
});
