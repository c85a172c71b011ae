import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { changeInboxOutcome, recordEvent } from './inbox.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});
beforeEach(() => database.query('truncate inbox'));

const hashOf = (text: string) => createHash('sha256').update(text).digest();
const event = {
  source: 'urn:billing',
  id: '1',
  type: 'a',
  dataHash: hashOf('data'),
  operationId: null,
  outcome: 'accepted',
};
const record = (fields: Partial<typeof event> = {}) =>
  database.transaction((transaction) => recordEvent(transaction, { ...event, ...fields }));

test('an event is new once, then it is a duplicate', async () => {
  expect(await record()).toBe('new');
  expect(await record({ outcome: 'something else' })).toEqual({ duplicateOf: null, outcome: 'accepted' });
});

test('another source or id is another event', async () => {
  expect(await record()).toBe('new');
  expect(await record({ source: 'urn:users' })).toBe('new');
  expect(await record({ id: '2' })).toBe('new');
});

test('the same id with other data or of another type is told apart', async () => {
  await record();
  expect(await record({ dataHash: hashOf('other data') })).toBe('other-data');
  expect(await record({ type: 'b' })).toBe('other-data');
  expect(await record()).toEqual({ duplicateOf: null, outcome: 'accepted' });
});

test('the outcome can be changed, and is what a duplicate gets', async () => {
  await record();
  await changeInboxOutcome(database, event, { operationId: null, outcome: 'refused: quota-exceeded' });
  expect(await record()).toEqual({ duplicateOf: null, outcome: 'refused: quota-exceeded' });
});

test('an event whose transaction ended badly is new again', async () => {
  await expect(
    database.transaction(async (transaction) => {
      await recordEvent(transaction, event);
      throw new Error('of the work');
    }),
  ).rejects.toThrow('of the work');
  expect(await record()).toBe('new');
});

test('an operation that is never written is noticed at COMMIT', async () => {
  const operationId = '00000000-0000-7000-8000-000000000001';
  await expect(
    database.transaction((transaction) => recordEvent(transaction, { ...event, operationId })),
  ).rejects.toMatchObject({ code: 'constraint-violated', facts: { constraint: 'inbox_operation_id_fkey' } });
  expect(await record()).toBe('new');
});

test('of ten deliveries at once one is new', async () => {
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => record()));
  expect(outcomes.filter((outcome) => outcome === 'new')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome !== 'new')).toEqual(
    Array.from({ length: 9 }, () => ({ duplicateOf: null, outcome: 'accepted' })),
  );
});
