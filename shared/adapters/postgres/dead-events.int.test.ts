import fc from 'fast-check';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { type DeadEvent, storeDeadEvent } from './dead-events.ts';
import type { Row } from './rows.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});
beforeEach(() => database.query('truncate dead_events'));

const dead: DeadEvent = {
  source: 'urn:billing',
  id: '1',
  type: 'a',
  receivedBy: 'provision',
  reasonCode: 'invalid-event',
  reason: 'data.name is missing',
  contentType: 'application/json',
  attributes: { subject: 'x', partitionkey: 'y' },
  body: Buffer.from('{"a":1}'),
};
const stored = async () => (await database.query<Row<'dead_events'>>('select * from dead_events')).rows;

test('a bad event is kept as it came', async () => {
  expect(await storeDeadEvent(database, dead)).toEqual({ sequence: expect.any(Number), deliveries: 1 });
  expect(await stored()).toMatchObject([
    {
      source: 'urn:billing',
      id: '1',
      type: 'a',
      received_by: 'provision',
      reason_code: 'invalid-event',
      reason: 'data.name is missing',
      content_type: 'application/json',
      attributes: { subject: 'x', partitionkey: 'y' },
      body: Buffer.from('{"a":1}'),
      deliveries: 1,
      replayed_at: null,
    },
  ]);
});

test('the same one again is counted, whatever the order of its attributes', async () => {
  const first = await storeDeadEvent(database, dead);
  const again = { ...dead, attributes: { partitionkey: 'y', subject: 'x' }, reason: 'said better' };
  expect(await storeDeadEvent(database, again)).toEqual({ sequence: first.sequence, deliveries: 2 });
  expect(await stored()).toMatchObject([{ deliveries: 2, reason: 'said better' }]);
});

test.each([
  ['body', { body: Buffer.from('{"a":2}') }],
  ['an attribute', { attributes: { subject: 'z' } }],
  ['id', { id: '2' }],
  ['no id', { id: null }],
])('one with another %s is another', async (_, fields) => {
  await storeDeadEvent(database, dead);
  expect((await storeDeadEvent(database, { ...dead, ...fields })).deliveries).toBe(1);
  expect(await stored()).toHaveLength(2);
});

test('what was no CloudEvent at all is kept too', async () => {
  await storeDeadEvent(database, {
    receivedBy: 'provision',
    reasonCode: 'invalid-event',
    reason: 'no JSON',
    body: Buffer.alloc(0),
  });
  expect(await stored()).toMatchObject([
    { source: null, id: null, type: null, content_type: null, attributes: {}, body: Buffer.alloc(0) },
  ]);
});

test('ten deliveries at once are one row', async () => {
  await Promise.all(Array.from({ length: 10 }, () => storeDeadEvent(database, dead)));
  expect(await stored()).toMatchObject([{ deliveries: 10 }]);
});

test('whatever the bytes and attributes, it is kept', async () => {
  const anyText = fc.string({
    unit: fc.oneof(fc.constantFrom('\0', '\ud800', '\udc00', '\u{1f4a9}', '"', '\\'), fc.string()),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array(),
      fc.dictionary(anyText, anyText, { maxKeys: 4 }),
      anyText,
      async (body, attributes, text) => {
        await database.query('truncate dead_events');
        await storeDeadEvent(database, { ...dead, body, attributes, id: text, reason: text });
        expect((await stored())[0]?.body).toEqual(Buffer.from(body));
      },
    ),
    { numRuns: 60 },
  );
});
