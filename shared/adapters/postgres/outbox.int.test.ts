import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { contextOf, runInContext } from '../tracing/request-context.ts';
import type { Database } from './database.ts';
import { takeDueOperations } from './operation-ends.ts';
import { insertOperation } from './operation-requests.ts';
import { enqueue, forgetPublished, markFailed, markPublished, takeUnpublished } from './outbox.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});
beforeEach(() => database.query('truncate outbox'));

const event = (fields: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  id: randomUUID(),
  type: 'dev.odoofleet.test',
  source: 'urn:test',
  data: { name: 'ä"\\, {}' },
  ...fields,
});
const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

test('events come out as they went in, oldest first', async () => {
  const events = [
    event({ subject: 'abcdefgh2345', extensions: { partitionkey: 'abcdefgh2345', opkind: 'provision' } }),
    event({ data: null }),
    event({ data: ['"', null, { a: [1.5, true] }] }),
    event({ data: 'text' }),
  ];
  await database.transaction((transaction) => enqueue(transaction, events));
  const taken = await takeUnpublished(database, { limit: 10 });
  expect(taken).toEqual(events.map((one) => ({ extensions: {}, ...one, time: expect.any(Date), attempts: 0 })));
  expect(await takeUnpublished(database, { limit: 2 })).toHaveLength(2);
});

test('nothing is written for no events, nor when the transaction ends badly', async () => {
  await enqueue(database, []);
  await expect(
    database.transaction(async (transaction) => {
      await enqueue(transaction, [event()]);
      throw new Error('of the work');
    }),
  ).rejects.toThrow('of the work');
  expect(await takeUnpublished(database, { limit: 10 })).toEqual([]);
});

test('the same id is sent once, also within one call', async () => {
  const one = event();
  await enqueue(database, [one, one]);
  await enqueue(database, [{ ...one, data: 'said again' }]);
  expect(await takeUnpublished(database, { limit: 10 })).toMatchObject([one]);
});

test('what was published does not come again', async () => {
  const [first, second] = [event(), event()];
  await enqueue(database, [first, second]);
  await markPublished(database, [first.id]);
  await markPublished(database, []);
  expect(idsOf(await takeUnpublished(database, { limit: 10 }))).toEqual([second.id]);
  // an answer that came late changes nothing
  await markFailed(database, [{ id: first.id, error: 'timeout' }]);
  expect((await database.query('select last_error from outbox where id = $1', [first.id])).rows).toEqual([
    { last_error: null },
  ]);
});

test('one that no broker takes does not hold up the others', async () => {
  const events = [event(), event(), event()];
  await enqueue(database, events);
  await markFailed(database, [{ id: events[0]?.id ?? '', error: 'HTTP 400' }]);
  const taken = await takeUnpublished(database, { limit: 10 });
  expect(idsOf(taken)).toEqual([events[1]?.id, events[2]?.id, events[0]?.id]);
  expect(taken[2]?.attempts).toBe(1);
});

test('young ones can be left to the process that wrote them', async () => {
  await enqueue(database, [event()]);
  expect(await takeUnpublished(database, { limit: 10, olderThanMs: 60_000 })).toEqual([]);
  await database.query("update outbox set created_at = now() - interval '61 s'");
  expect(await takeUnpublished(database, { limit: 10, olderThanMs: 60_000 })).toHaveLength(1);
});

test('two takers in transactions get different events', async () => {
  const events = [event(), event(), event(), event()];
  await enqueue(database, events);
  await database.transaction(async (first) => {
    const mine = await takeUnpublished(first, { limit: 2 });
    const theirs = await database.transaction((second) => takeUnpublished(second, { limit: 10 }));
    expect(idsOf([...mine, ...theirs]).sort()).toEqual(idsOf(events).sort());
  });
});

test('what was published long ago is forgotten, a bounded number at a time, and nothing else', async () => {
  const [recent, waiting, ...old] = [event(), event(), event(), event(), event()];
  await enqueue(
    database,
    [recent, waiting, ...old].filter((one) => one !== undefined),
  );
  await markPublished(database, idsOf([recent, ...old].filter((one) => one !== undefined)));
  await database.query(`update outbox set published_at = published_at - interval '8 days' where id = any($1::uuid[])`, [
    idsOf(old),
  ]);
  expect(await forgetPublished(database, { olderThanDays: 7, limit: 2 })).toBe(2);
  expect(await forgetPublished(database, { olderThanDays: 7, limit: 2 })).toBe(1);
  const { rows } = await database.query<{ id: string }>('select id from outbox order by sequence');
  expect(idsOf(rows)).toEqual([recent?.id, waiting?.id]);
});

test('an event keeps the trace of the request that wrote it, unless it carries one of its own', async () => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const own = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
  const [plain, traced, outside] = [event(), { ...event(), extensions: own }, event()];
  await runInContext(contextOf({ traceparent: parent, tracestate: 'a=1' }), () => enqueue(database, [plain, traced]));
  await enqueue(database, [outside]);
  const rows = await database.query<{ id: string; extensions: Record<string, string> }>(
    'select id, extensions from outbox where id = any($1)',
    [[plain.id, traced.id, outside.id]],
  );
  const extensions = new Map(rows.rows.map((row) => [row.id, row.extensions]));
  expect(extensions.get(plain.id)).toMatchObject({ tracestate: 'a=1' });
  expect(extensions.get(plain.id)?.['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(extensions.get(plain.id)?.['traceparent']).not.toBe(parent);
  expect(extensions.get(traced.id)).toEqual(own);
  expect(extensions.get(outside.id)).not.toHaveProperty('traceparent');
});

test('a command to an operation goes on in the trace of the request that asked for it', async () => {
  await insertCatalogue(database);
  const instanceId = testInstanceId(1);
  await insertTestInstance(database, instanceId);
  const asked = { instanceId, kind: 'stop' as const, definitionVersion: 1, deadlineMs: 60_000 };
  const [traced, untraced] = [randomUUID(), randomUUID()];
  const facts = { requestedBy: 'urn:x', cause: 'x', request: {} };
  await runInContext(contextOf({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }), () =>
    insertOperation(database, { id: traced, idempotencyKey: '1', ...asked, ...facts }),
  );
  await insertOperation(database, { id: untraced, idempotencyKey: '2', ...asked, ...facts });
  const commands = [traced, untraced].map((operationid) => event({ extensions: { opkind: 'stop', operationid } }));
  const news = event({ extensions: { operationid: traced } });
  await runInContext(contextOf({ tracestate: 'a=1' }), () => enqueue(database, [...commands, news]));
  const taken = await takeUnpublished(database, { limit: 10 });
  const traceOf = (id: string | undefined) => taken.find((one) => one.id === id)?.extensions;
  expect(traceOf(commands[0]?.id)?.['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-/);
  expect(traceOf(commands[0]?.id)).toMatchObject({ opkind: 'stop', operationid: traced });
  expect(traceOf(commands[1]?.id)?.['traceparent']).toMatch(/^00-(?!0af7651916cd43dd8448eb211c80319c)/);
  expect(traceOf(news.id)?.['traceparent']).toMatch(/^00-(?!0af7651916cd43dd8448eb211c80319c)/);
  const due = await takeDueOperations(database, { limit: 10, holdOffMs: 0 });
  const parents = new Map(due.map((one) => [one.id, one.traceparent]));
  expect(parents.get(traced)).toContain('0af7651916cd43dd8448eb211c80319c');
  expect(parents.get(untraced)).toBeNull();
});
