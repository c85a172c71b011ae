import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { down, observersOfThisFile, one, outcomes, up } from './observers.fixture.ts';
import { type Answered, insertSettledInstance } from './world.fixture.ts';

const { database, others, send, sendToOther, rowOf, told, inbox, letStand, settle } = observersOfThisFile();

describe('at once', () => {
  test('ten deliveries of one event to two processes change the status once', async () => {
    await insertSettledInstance(database(), one, 'error');
    const message = { ...up(), id: randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? send : sendToOther)(message)),
    );
    expect(outcomes(answers).sort()).toEqual(['changed', ...Array.from({ length: 9 }, () => 'duplicate')]);
    expect(await inbox()).toEqual(['changed']);
    expect(await told()).toHaveLength(1);
  });

  test('an id that was used with other data is buried, and its neighbours are not', async () => {
    const two = testInstanceId(2);
    await insertSettledInstance(database(), one, 'error');
    await insertSettledInstance(database(), two, 'error');
    const id = randomUUID();
    await send({ ...down(), id });
    const answers = await Promise.all([send(up(two)), send({ ...up(), id }), send(up())]);
    expect(outcomes(answers)).toEqual(['changed', 'refused', 'changed']);
    const { rows } = await database().query('select reason_code from dead_events');
    expect(rows).toEqual([{ reason_code: 'reused-event-id' }]);
  });

  test('a row that refuses to be written fails for its own event only', async () => {
    const ids = [1, 2, 3, 4].map(testInstanceId);
    for (const id of ids) await insertSettledInstance(database(), id, 'error');
    await database().query(
      `alter table instances add constraint bad_row check (not (id = '${ids[1]}' and status = 'running'))`,
    );
    try {
      const answers = await Promise.all(ids.map((id) => send(up(id))));
      expect(outcomes(answers)).toEqual(['changed', 'refused', 'changed', 'changed']);
      expect(await told()).toHaveLength(3);
      expect(await inbox()).toHaveLength(3);
    } finally {
      await database().query('alter table instances drop constraint bad_row');
    }
  });

  test('a row that somebody else holds makes its own event come again, and no other', async () => {
    const ids = [1, 2, 3].map(testInstanceId);
    for (const id of ids) await insertSettledInstance(database(), id, 'error');
    const answers = await others().transaction(async (holder) => {
      await holder.query('select id from instances where id = $1 for update', [ids[1]]);
      return await Promise.all(ids.map((id) => send(up(id))));
    });
    expect(answers).toEqual([
      { status: 204, outcome: 'changed' },
      { status: 503, outcome: 'unavailable' },
      { status: 204, outcome: 'changed' },
    ]);
    expect(await send(up(ids[1]))).toMatchObject({ outcome: 'changed' });
  });

  test('two hundred events of a few instances in two processes end without a deadlock, and in what came last', async () => {
    const ids = [1, 2, 3, 4, 5, 6].map(testInstanceId);
    for (const id of ids) await insertSettledInstance(database(), id);
    const random = seeded(20_261_121);
    const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;
    const messages = Array.from({ length: 200 }, (_, index) => {
      const id = pick(ids);
      const message = { id: randomUUID(), ...pick([up, down])(id, index + 1) };
      return random() < 0.2 ? { ...message, type: resourceDelete.type } : message;
    });
    const answers: Answered[] = [];
    for (let from = 0; from < messages.length; from += 50) {
      const some = messages.slice(from, from + 50);
      const duplicated = [...some, ...some.filter(() => random() < 0.1)];
      const ticks = [settle(), settle(others())];
      answers.push(...(await Promise.all(duplicated.map((message) => pick([send, sendToOther])(message)))));
      await Promise.all(ticks);
      await letStand();
    }
    const last = await Promise.all(ids.map((id, index) => send(up(id, 1_000 + index))));
    expect(new Set([...answers, ...last].map(({ status }) => status))).toEqual(new Set([204]));
    for (const id of ids) expect(await rowOf(id)).toMatchObject({ status: 'running', observation: null });
    const { rows } = await database().query<{ deadlocks: number }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(rows).toEqual([{ deadlocks: 0 }]);
    expect(await inbox()).toHaveLength(messages.length + last.length);
    const events = await told();
    expect(events.length).toBeGreaterThan(5);
    for (const id of ids) {
      // every change begins where the one before it ended
      const moves = events.map(({ data }) => data).filter((data) => data['instance'] === id);
      expect(moves.map((data) => data['from'])).toEqual(['running', ...moves.map((data) => data['to'])].slice(0, -1));
      expect(moves.at(-1)?.['to'] ?? 'running').toBe('running');
    }
  });
});

/** Mulberry32: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
