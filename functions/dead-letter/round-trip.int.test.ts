import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readFleetNumbers } from '#shared/adapters/postgres/fleet-numbers.ts';
import { maxReplays } from '#shared/runtime/dead-letter/waits.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeWorld, post, trigger, type World } from './world.fixture.ts';

const database = platformOfThisFile();
let world: World;
beforeEach(async () => {
  await database().query('truncate dead_events, inbox');
  world = await makeWorld(database());
});
afterEach(() => world.stop());

const ids = Array.from({ length: 40 }, (_, index) => `e-${String(index).padStart(2, '0')}`);
const inboxIds = async () =>
  (await database().query<{ id: string }>('select id from inbox order by id')).rows.map(({ id }) => id);

/** A broker whose events are held by the function, so that a rollout finds most of them prefetched. */
async function rolledOut(): Promise<void> {
  const { standIn } = world;
  const deadLetters = await world.serveDeadLetters(database());
  const broker = await world.startBroker({ deadLetters });
  const gate = Promise.withResolvers<undefined>();
  standIn.before = () => gate.promise;
  for (const id of ids) expect(await post(broker.url, id)).toBe(202);
  await expect.poll(() => standIn.delivered.length, { timeout: 15_000 }).toBe(trigger.parallelism);
  await broker.rollOut();
  await broker.idle();
  expect(standIn.done).toEqual([]);
  standIn.before = () => undefined;
  gate.resolve(undefined);
  await expect.poll(async () => (await inboxIds()).length, { timeout: 15_000 }).toBe(trigger.parallelism);
}

/** What is not resolved, as the gauges show it. */
async function open(): Promise<Record<string, number>> {
  const { deadEvents } = await readFleetNumbers(database());
  return Object.fromEntries(deadEvents.map((row) => [`${row.class} ${row.state}`, row.count]));
}

it('events that a rollout of the broker dead-lettered all arrive, straight at their function, and once', async () => {
  await rolledOut();
  const letters = await world.rows();
  expect(letters.length).toBeGreaterThan(30);
  for (const letter of letters) {
    expect(letter).toMatchObject({ class: 'transient', state: 'waiting', error_code: -1, replays: 0 });
    // not at once: what was away has just come back
    expect(Number(letter.next_replay_at)).toBeGreaterThan(Number(letter.received_at));
  }
  await world.makeDue();
  expect(await world.upkeep()).toMatchObject({ replayed: letters.length, failed: 0 });
  expect(await open()).toEqual({});
  expect(await inboxIds()).toEqual(ids);
  expect(world.standIn.done.toSorted()).toEqual(ids);
  expect((await world.rows()).every(({ state }) => state === 'resolved')).toBe(true);
});

it('they arrive by the broker where their origin is no function we know', async () => {
  await rolledOut();
  await world.makeDue();
  await world.upkeep({ functions: [] });
  await expect.poll(inboxIds, { timeout: 15_000 }).toEqual(ids);
  expect(world.standIn.done.toSorted()).toEqual(ids);
  expect((await world.rows()).every(({ state }) => state === 'replayed')).toBe(true);
});

it('two ticks at once send each event once', async () => {
  await rolledOut();
  const letters = (await world.rows()).map(({ id }) => String(id));
  world.standIn.delivered.length = 0;
  await world.makeDue();
  const reports = await Promise.all([world.upkeep(), world.upkeep(), world.upkeep()]);
  expect(reports.reduce((sum, { replayed }) => sum + replayed, 0)).toBe(letters.length);
  expect(world.standIn.delivered.toSorted()).toEqual(letters.toSorted());
});

it('an event that was done, and whose answer came too late, is done once', async () => {
  const deadLetters = await world.serveDeadLetters(database());
  const slow = { ...trigger, delivery: { ...trigger.delivery, retry: 0, timeoutMs: 2_000 } };
  const broker = await world.startBroker({ deadLetters, triggers: [slow] });
  const gate = Promise.withResolvers<void>();
  world.standIn.after = () => gate.promise;
  await post(broker.url, 'late');
  await broker.idle();
  gate.resolve();
  await expect.poll(world.rows, { timeout: 15_000 }).toMatchObject([{ id: 'late', class: 'transient' }]);
  await expect.poll(() => world.standIn.done, { timeout: 15_000 }).toEqual(['late']);
  await world.makeDue();
  expect(await world.upkeep()).toMatchObject({ replayed: 1 });
  expect(world.standIn.delivered).toEqual(['late', 'late']);
  expect(world.standIn.done).toEqual(['late']);
});

it('a function that never takes it gets it eight times, then a person has to look', async () => {
  const deadLetters = await world.serveDeadLetters(database());
  const broker = await world.startBroker({ deadLetters });
  world.standIn.before = () => 503;
  await post(broker.url, 'stuck');
  await expect.poll(world.rows, { timeout: 15_000 }).toMatchObject([{ id: 'stuck', error_code: 503 }]);
  const byBroker = world.standIn.delivered.length;
  for (let replay = 0; replay < maxReplays; replay += 1) {
    expect(await world.rows()).toMatchObject([{ state: 'waiting', replays: replay }]);
    await world.makeDue();
    await world.upkeep();
  }
  expect(await world.rows()).toMatchObject([
    { state: 'given-up', replays: maxReplays, last_error: 'origin answered with status 503' },
  ]);
  expect(await world.upkeep()).toMatchObject({ replayed: 0, failed: 0 });
  expect(await open()).toEqual({ 'transient given-up': 1 });
  expect(world.standIn.delivered.length - byBroker).toBe(maxReplays);
});

it('an event that its function dead-letters again and again by the broker is given up, too', async () => {
  const deadLetters = await world.serveDeadLetters(database());
  const broker = await world.startBroker({ deadLetters });
  world.standIn.before = () => 503;
  await post(broker.url, 'stuck');
  await expect.poll(world.rows, { timeout: 15_000 }).toMatchObject([{ id: 'stuck' }]);
  for (let replay = 1; replay <= maxReplays; replay += 1) {
    await world.makeDue();
    await world.upkeep({ functions: [] });
    await expect.poll(world.rows, { timeout: 15_000 }).toMatchObject([{ deliveries: replay + 1, replays: replay }]);
  }
  expect(await world.rows()).toMatchObject([{ state: 'given-up' }]);
});

it('a refusal of the replay makes it wait for a person', async () => {
  const deadLetters = await world.serveDeadLetters(database());
  await world.startBroker({ deadLetters });
  world.standIn.before = () => 422;
  await post(deadLetters, 'x', {
    'ce-knativeerrorcode': '503',
    'ce-knativeerrordest': world.standIn.pattern.replace('{function}', 'provision'),
  });
  await world.makeDue();
  expect(await world.upkeep()).toMatchObject({ failed: 1 });
  expect(await open()).toEqual({ 'permanent waiting': 1 });
});

it('never sends anything to an address that a dead letter names', async () => {
  const requests: string[] = [];
  const foreign = createServer((incoming, response) => {
    requests.push(String(incoming.url));
    response.writeHead(204).end();
  });
  await once(foreign.listen(0, '127.0.0.1'), 'listening');
  try {
    const deadLetters = await world.serveDeadLetters(database());
    await world.startBroker({ deadLetters });
    const address = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}/provision`;
    await post(deadLetters, 'x', { 'ce-knativeerrorcode': '-1', 'ce-knativeerrordest': address });
    await world.makeDue();
    expect(await world.upkeep()).toMatchObject({ replayed: 1 });
    await expect.poll(() => world.standIn.done, { timeout: 15_000 }).toEqual(['x']);
    expect(requests).toEqual([]);
  } finally {
    foreign.close();
  }
});

it('an event that is older than the inbox is not sent by itself', async () => {
  const deadLetters = await world.serveDeadLetters(database());
  await post(deadLetters, 'old', { 'ce-knativeerrorcode': '-1' });
  await database().query("update dead_events set received_at = now() - interval '89 days'");
  await world.makeDue();
  expect(await world.upkeep()).toMatchObject({ replayed: 0, givenUp: 1 });
  expect(await open()).toEqual({ 'transient given-up': 1 });
  expect(world.standIn.delivered).toEqual([]);
});
