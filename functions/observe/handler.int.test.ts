import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkData } from '#events/check.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { settleObservations } from '#shared/runtime/observations.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type Answered, deploymentOf, insertSettledInstance, openFunction } from './world.fixture.ts';

const made = databaseOfThisFile();
const platform = platformOfThisFile(made);
let database: Database;
let others: Database;
/** Two processes, as far as the rows can tell: each has its batches and its connections. */
let send: ReturnType<typeof openFunction>;
let sendToOther: ReturnType<typeof openFunction>;
let flushed = 0;

beforeAll(async () => {
  database = platform();
  const { pooled, ...rest } = made();
  others = openDatabase({
    ...rest,
    ...pooled,
    driver: 'pg',
    applicationName: 'other',
    sslMode: 'disable',
    maxConnections: 2,
    onError: () => undefined,
  });
  await insertCatalogue(database);
  send = openFunction(database, async () => void (flushed += 1));
  sendToOther = openFunction(others);
});
afterAll(() => others.end());
beforeEach(async () => {
  flushed = 0;
  await database.query(
    'truncate operations, operation_steps, inbox, outbox, instances, suspensions, streams, dead_events cascade',
  );
});

const one = testInstanceId(1);
const down = (id = one, version?: number) => ({
  data: deploymentOf(id, { available: 0, ...(version === undefined ? {} : { version }) }),
});
const up = (id = one, version?: number) => ({ data: deploymentOf(id, version === undefined ? {} : { version }) });

type InstanceRow = { status: string; status_reason: string | null; observation: string | null };
async function rowOf(id = one): Promise<InstanceRow | undefined> {
  const text = `select status, status_reason, n.what as observation
    from instances left join observations n on n.instance_id = instances.id where instances.id = $1`;
  return (await database.query<InstanceRow>(text, [id])).rows[0];
}
async function told(type: string = statusChanged.type): Promise<{ id: string; data: Record<string, unknown> }[]> {
  const text = 'select id, data, extensions from outbox where type = $1 order by sequence';
  return (await database.query<{ id: string; data: Record<string, unknown> }>(text, [type])).rows;
}
const inbox = async () =>
  (await database.query<{ outcome: string }>('select outcome from inbox order by received_at')).rows.map(
    ({ outcome }) => outcome,
  );
const outcomes = (answers: readonly Answered[]) => answers.map(({ outcome }) => outcome);
/** What was noted has stood long enough. */
const letStand = (ms = 2_000) =>
  database.query(`update observations set at = at - $1::integer * interval '1 ms'`, [ms]);

async function addOperation(id: string, state: string): Promise<string> {
  const operation = newOperationId();
  await database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by,
       cause, request, finished_at)
     values ($1::uuid, $2, 'start', 1, $3, now() + interval '1 h', $1::text, 'urn:test', 'c', '{}',
       case when $3 = 'succeeded' then clock_timestamp() end)`,
    [operation, id, state],
  );
  return operation;
}

describe('bad news', () => {
  test('is noted, and becomes the status when it has stood for two seconds, with the tick', async () => {
    await insertSettledInstance(database, one);
    expect(await send(down())).toEqual({ status: 204, outcome: 'noted' });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: 'unavailable' });
    const tick = { database, eventSource: 'urn:odoo-fleet' };
    expect(await settleObservations(tick)).toEqual({ settled: 0, changed: 0 });
    await letStand();
    expect(await settleObservations(tick)).toEqual({ settled: 1, changed: 1 });
    expect(await settleObservations(tick)).toEqual({ settled: 0, changed: 0 });
    const reason = 'Deployment does not have minimum availability. 0 of 1 pods are available.';
    expect(await rowOf()).toEqual({ status: 'error', status_reason: reason, observation: null });
    const events = await told();
    expect(events).toMatchObject([{ data: { instance: one, customer: 'c-1', from: 'running', to: 'error', reason } }]);
    expect(checkData(statusChanged, events[0]?.data)).toMatchObject({ accepted: true });
  });

  test('becomes the status with the next event, of whatever object', async () => {
    await insertSettledInstance(database, one);
    await send(down());
    await letStand();
    const job = { kind: 'Job', status: { conditions: [{ type: 'Complete', status: 'True' }] } };
    expect(await send({ data: { ...deploymentOf(one), ...job } })).toMatchObject({ outcome: 'changed' });
    expect(await rowOf()).toMatchObject({ status: 'error' });
  });

  test('that the Deployment was deleted makes the instance missing, and a new one brings it back', async () => {
    await insertSettledInstance(database, one);
    await send({ ...up(), type: resourceDelete.type });
    await letStand();
    await settleObservations({ database, eventSource: 'urn:odoo-fleet' });
    expect(await rowOf()).toMatchObject({ status: 'missing', status_reason: `Deployment odoo-${one} was deleted.` });
    expect(await send(up())).toMatchObject({ outcome: 'changed' });
    expect(await rowOf()).toMatchObject({ status: 'running' });
    expect(flushed).toBe(1);
  });

  test('is cleared by good news: a flap within two seconds changes nothing', async () => {
    await insertSettledInstance(database, one);
    for (const message of [down(), up(), down(), up()]) await send(message);
    await letStand();
    expect(await settleObservations({ database, eventSource: 'urn:odoo-fleet' })).toEqual({ settled: 0, changed: 0 });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: null });
    expect(await told()).toEqual([]);
  });

  test('after good news makes one change when it was a flap', async () => {
    await insertSettledInstance(database, one, 'error');
    for (const message of [up(), down(), up()]) await send(message);
    expect(await told()).toMatchObject([{ data: { from: 'error', to: 'running' } }]);
  });

  test('that arrives late is old news', async () => {
    await insertSettledInstance(database, one);
    await send(up(one, 20));
    expect(await sendToOther(down(one, 19))).toMatchObject({ outcome: 'old-news' });
    const time = new Date(Date.now() - 2 * 3_600_000).toISOString();
    expect(await send({ ...down(), type: resourceDelete.type, time })).toMatchObject({ outcome: 'nothing-to-do' });
    expect(await rowOf()).toMatchObject({ observation: null });
    expect(await send(down(one, 21))).toMatchObject({ outcome: 'noted' });
    const both = await Promise.all([send(up(one, 40)), send(down(one, 39))]);
    expect(outcomes(both)).toEqual(['nothing-to-do', 'old-news']);
  });
});

test('a version that was never reached blinds nobody for longer than an hour', async () => {
  const age = (minutes: number) =>
    database.query(`update streams set updated_at = updated_at - $1::integer * interval '1 minute'`, [minutes]);
  await insertSettledInstance(database, one);
  await send(up(one, 999_999_999));
  await age(59);
  expect(await send(down(one, 20))).toMatchObject({ outcome: 'old-news' });
  await age(1);
  expect(await sendToOther(down(one, 21))).toMatchObject({ outcome: 'noted' });
  expect(await send(up(one, 20))).toMatchObject({ outcome: 'old-news' });
  const { rows } = await database.query('select sequence from streams');
  expect(rows).toEqual([{ sequence: 21 }]);
});

describe('nothing changes for an instance that is', () => {
  test.each(['stopped', 'suspended', 'maintenance', 'terminated', 'terminating', 'updating'])('%s', async (status) => {
    await insertSettledInstance(database, one, status);
    for (const message of [down(), { ...up(), type: resourceDelete.type }, up(), down()]) await send(message);
    await letStand();
    await settleObservations({ database, eventSource: 'urn:odoo-fleet' });
    expect(await rowOf()).toMatchObject({ status, observation: null });
    expect(await told()).toEqual([]);
  });

  test('unknown, or purged', async () => {
    expect(await send(down())).toEqual({ status: 204, outcome: 'unknown-instance' });
    await insertSettledInstance(database, one, 'terminated');
    await database.query('update instances set purged_at = now()');
    expect(await send(down())).toMatchObject({ outcome: 'unknown-instance' });
    expect(await inbox()).toEqual(['unknown-instance', 'unknown-instance']);
    expect(await told()).toEqual([]);
  });
});

describe('an operation', () => {
  test.each(['queued', 'running', 'waiting'])('that is %s is told, and the status is its own', async (state) => {
    await insertSettledInstance(database, one);
    await send(down());
    await letStand();
    const operation = await addOperation(one, state);
    const answers = await Promise.all([send(up()), sendToOther(up()), send(down())]);
    expect(outcomes(answers)).toEqual(['advanced', 'advanced', 'nothing-to-do']);
    expect(await rowOf()).toMatchObject({ status: 'running', observation: null });
    const events = await told(operationAdvance.type);
    // one state of one object is told once
    expect(events).toMatchObject([{ data: { operation, kind: 'start', reason: `Deployment odoo-${one} changed` } }]);
    expect(checkData(operationAdvance, events[0]?.data)).toMatchObject({ accepted: true });
  });

  test('that came and went makes what was noted before it void', async () => {
    await insertSettledInstance(database, one);
    await send(down());
    await letStand();
    await addOperation(one, 'succeeded');
    expect(await settleObservations({ database, eventSource: 'urn:odoo-fleet' })).toEqual({ settled: 1, changed: 0 });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: null });
  });
});

describe('at once', () => {
  test('ten deliveries of one event to two processes change the status once', async () => {
    await insertSettledInstance(database, one, 'error');
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
    await insertSettledInstance(database, one, 'error');
    await insertSettledInstance(database, two, 'error');
    const id = randomUUID();
    await send({ ...down(), id });
    const answers = await Promise.all([send(up(two)), send({ ...up(), id }), send(up())]);
    expect(outcomes(answers)).toEqual(['changed', 'refused', 'changed']);
    const { rows } = await database.query('select reason_code from dead_events');
    expect(rows).toEqual([{ reason_code: 'reused-event-id' }]);
  });

  test('a row that refuses to be written fails for its own event only', async () => {
    const ids = [1, 2, 3, 4].map(testInstanceId);
    for (const id of ids) await insertSettledInstance(database, id, 'error');
    await database.query(
      `alter table instances add constraint bad_row check (not (id = '${ids[1]}' and status = 'running'))`,
    );
    try {
      const answers = await Promise.all(ids.map((id) => send(up(id))));
      expect(outcomes(answers)).toEqual(['changed', 'refused', 'changed', 'changed']);
      expect(await told()).toHaveLength(3);
      expect(await inbox()).toHaveLength(3);
    } finally {
      await database.query('alter table instances drop constraint bad_row');
    }
  });

  test('a row that somebody else holds makes its own event come again, and no other', async () => {
    const ids = [1, 2, 3].map(testInstanceId);
    for (const id of ids) await insertSettledInstance(database, id, 'error');
    const answers = await others.transaction(async (holder) => {
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
    for (const id of ids) await insertSettledInstance(database, id);
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
      const ticks = [database, others].map((of) => settleObservations({ database: of, eventSource: 'urn:odoo-fleet' }));
      answers.push(...(await Promise.all(duplicated.map((message) => pick([send, sendToOther])(message)))));
      await Promise.all(ticks);
      await letStand();
    }
    const last = await Promise.all(ids.map((id, index) => send(up(id, 1_000 + index))));
    expect(new Set([...answers, ...last].map(({ status }) => status))).toEqual(new Set([204]));
    for (const id of ids) expect(await rowOf(id)).toMatchObject({ status: 'running', observation: null });
    const { rows } = await database.query<{ deadlocks: number }>(
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
