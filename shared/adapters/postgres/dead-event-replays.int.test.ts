import { beforeAll, beforeEach, expect, test } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import {
  claimDueEvents,
  claimEvents,
  forgetResolved,
  giveUpOverdue,
  resolveQuiet,
  settleReplay,
} from './dead-event-replays.ts';
import { type DeadEvent, storeDeadEvent, type Undelivered } from './dead-events.ts';
import { readFleetNumbers } from './fleet-numbers.ts';
import type { Row } from './rows.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});
beforeEach(() => database.query('truncate dead_events'));

const transient: Undelivered = {
  origin: 'http://provision/',
  errorCode: 503,
  errorData: 'busy',
  class: 'transient',
};
const letter = (id: string, undelivered: Partial<Undelivered> = {}): DeadEvent => ({
  source: 'urn:billing',
  id,
  type: 'a',
  receivedBy: 'dead-letter',
  reasonCode: 'undelivered',
  reason: 'no answer',
  contentType: 'application/json',
  attributes: { id, source: 'urn:billing', knativeerrorcode: String(undelivered.errorCode ?? 503) },
  body: Buffer.from('{}'),
  undelivered: { ...transient, ...undelivered },
});
const atOnce = [0, 60_000, 60_000];
const store = (event: DeadEvent, waitsMs: readonly number[] = atOnce) => storeDeadEvent(database, event, { waitsMs });
const rows = async () => (await database.query<Row<'dead_events'>>('select * from dead_events order by sequence')).rows;
const counted = async () => {
  const { deadEvents } = await readFleetNumbers(database);
  return Object.fromEntries(deadEvents.map((one) => [`${one.class} ${one.state}`, one.count]));
};
const due = { limit: 10, waitsMs: atOnce, youngerThanDays: 89 };
const makeDue = () => database.query("update dead_events set next_replay_at = now() - interval '1 second'");

test('a dead letter is kept with what the broker said, and is due after its first wait', async () => {
  await store(letter('1'), [60_000]);
  const [row] = await rows();
  expect(row).toMatchObject({
    origin: 'http://provision/',
    error_code: 503,
    error_data: 'busy',
    class: 'transient',
    state: 'waiting',
    replays: 0,
    is_whole: true,
  });
  const waitMs = Number(row?.next_replay_at) - Date.now();
  expect(waitMs).toBeGreaterThan(50_000);
  expect(waitMs).toBeLessThan(65_000);
  expect(await claimDueEvents(database, due)).toEqual([]);
});

test('the same letter twice is one row, though the broker says something else about it', async () => {
  await store(letter('1'), [60_000]);
  const [first] = await rows();
  await store(letter('1', { errorCode: 500 }), [60_000]);
  expect(await rows()).toMatchObject([{ deliveries: 2, error_code: 500, next_replay_at: first?.next_replay_at }]);
  await store(letter('1', { origin: 'http://stop/' }));
  expect(await rows()).toHaveLength(2);
});

test('what is permanent or unknown waits for a person, and so does what a function refused', async () => {
  await store(letter('1', { class: 'permanent', errorCode: 400 }));
  await store(letter('2', { class: 'unknown', errorCode: null, origin: null }));
  const { undelivered: _, ...refused } = letter('3');
  await storeDeadEvent(database, { ...refused, receivedBy: 'provision', reasonCode: 'invalid-event' });
  await store(letter('4'), [60_000]);
  expect((await rows()).map(({ next_replay_at }) => next_replay_at !== null)).toEqual([false, false, false, true]);
  expect(await counted()).toEqual({ 'transient waiting': 1, 'permanent waiting': 2, 'unknown waiting': 1 });
});

test('takers at the same time share what is due', async () => {
  for (let id = 0; id < 30; id += 1) await store(letter(String(id)));
  const taken = await Promise.all(Array.from({ length: 6 }, () => claimDueEvents(database, { ...due, limit: 5 })));
  const sequences = taken.flat().map(({ sequence }) => sequence);
  expect(new Set(sequences).size).toBe(sequences.length);
  expect(sequences.length + (await claimDueEvents(database, { ...due, limit: 100 })).length).toBe(30);
  expect(taken[0]?.[0]).toMatchObject({ replays: 1, deliveries: 1, body: Buffer.from('{}') });
});

test('a taker that dies costs one replay and one wait', async () => {
  await store(letter('1'));
  expect(await claimDueEvents(database, due)).toHaveLength(1);
  expect(await claimDueEvents(database, due)).toEqual([]);
  await makeDue();
  expect(await claimDueEvents(database, due)).toMatchObject([{ replays: 2 }]);
});

test('after the last allowed replay it is given up, and stays so though it comes again', async () => {
  await store(letter('1'));
  const limits = { maxReplays: atOnce.length, youngerThanDays: 89, limit: 10 };
  for (let replay = 0; replay < atOnce.length; replay += 1) {
    expect(await giveUpOverdue(database, limits)).toBe(0);
    expect(await claimDueEvents(database, due)).toHaveLength(1);
    await makeDue();
  }
  expect(await claimDueEvents(database, due)).toEqual([]);
  expect(await giveUpOverdue(database, limits)).toBe(1);
  await store(letter('1'));
  expect(await rows()).toMatchObject([{ state: 'given-up', next_replay_at: null, deliveries: 2 }]);
  expect(await counted()).toEqual({ 'transient given-up': 1 });
});

test('one that was sent back and comes again waits again, longer; without a further wait it is given up', async () => {
  await store(letter('1'));
  const [event] = await claimDueEvents(database, due);
  if (event === undefined) throw new Error('nothing was due');
  await settleReplay(database, event, { state: 'replayed' });
  await store(letter('1'));
  const [row] = await rows();
  expect(row).toMatchObject({ state: 'waiting', replays: 1 });
  expect(Number(row?.next_replay_at) - Date.now()).toBeGreaterThan(50_000);
  await makeDue();
  const [again] = await claimDueEvents(database, due);
  if (again === undefined) throw new Error('nothing was due');
  await settleReplay(database, again, { state: 'replayed' });
  await store(letter('1'), [0, 0]);
  expect(await rows()).toMatchObject([{ state: 'given-up', replays: 2 }]);
});

test('the outcome of a replay does not hide that the event came back meanwhile', async () => {
  await store(letter('1'));
  const [event] = await claimDueEvents(database, due);
  if (event === undefined) throw new Error('nothing was due');
  await store(letter('1'));
  await settleReplay(database, event, { state: 'resolved' });
  expect(await rows()).toMatchObject([{ state: 'waiting', deliveries: 2 }]);
});

test('a failed replay keeps its wait, a permanent one waits for a person, the last one is given up', async () => {
  for (const id of ['1', '2', '3']) await store(letter(id));
  const [one, two, three] = (await claimDueEvents(database, due)).sort((a, b) => a.sequence - b.sequence);
  if (one === undefined || two === undefined || three === undefined) throw new Error('three are due');
  const failed = { state: 'failed' as const, reason: 'answered with status 503', isPermanent: false, isLast: false };
  await settleReplay(database, one, failed);
  await settleReplay(database, two, { ...failed, isPermanent: true, isLast: true });
  await settleReplay(database, three, { ...failed, isLast: true });
  expect(await rows()).toMatchObject([
    { state: 'waiting', class: 'transient', next_replay_at: expect.any(Date), last_error: failed.reason },
    { state: 'waiting', class: 'permanent', next_replay_at: null },
    { state: 'given-up', class: 'transient', next_replay_at: null },
  ]);
});

test('what is older than the inbox, or not whole, is never sent by itself', async () => {
  await store(letter('old', { receivedAt: new Date(Date.now() - 90 * 86_400_000) }));
  await store({ ...letter('cut'), isWhole: false });
  expect(await claimDueEvents(database, due)).toEqual([]);
  expect(await giveUpOverdue(database, { maxReplays: 3, youngerThanDays: 89, limit: 10 })).toBe(2);
  expect((await rows()).map(({ last_error }) => last_error)).toEqual([
    'too old to be replayed without a person',
    'only the beginning of the event was kept',
  ]);
});

test('a person takes what is given up or permanent, and not what was cut', async () => {
  await store(letter('1', { class: 'permanent' }));
  await store({ ...letter('2'), isWhole: false });
  const sequences = (await rows()).map(({ sequence }) => sequence);
  expect(await claimEvents(database, sequences)).toMatchObject([{ sequence: sequences[0], replays: 1 }]);
});

test('a time in the future is not believed', async () => {
  await store(letter('1', { receivedAt: new Date(Date.now() + 86_400_000) }));
  const [row] = await rows();
  expect(Number(row?.received_at)).toBeLessThan(Date.now() + 60_000);
});

test('what a broker took back and kept is resolved when it is quiet, and forgotten long after', async () => {
  await store(letter('1'));
  const [event] = await claimDueEvents(database, due);
  if (event === undefined) throw new Error('nothing was due');
  await settleReplay(database, event, { state: 'replayed' });
  expect(await resolveQuiet(database, { quietMs: 60_000, limit: 10 })).toBe(0);
  await database.query("update dead_events set replayed_at = now() - interval '2 hours'");
  expect(await resolveQuiet(database, { quietMs: 60_000, limit: 10 })).toBe(1);
  expect(await forgetResolved(database, { olderThanDays: 30, limit: 10 })).toBe(0);
  await database.query("update dead_events set replayed_at = now() - interval '31 days'");
  expect(await forgetResolved(database, { olderThanDays: 30, limit: 10 })).toBe(1);
  expect(await rows()).toEqual([]);
});
