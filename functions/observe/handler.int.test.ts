import { describe, expect, test } from 'vitest';
import { checkData } from '#events/check.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { down, observersOfThisFile, one, outcomes, up } from './observers.fixture.ts';
import { deploymentOf, insertSettledInstance } from './world.fixture.ts';

const { database, send, sendToOther, flushes, rowOf, told, inbox, letStand, settle } = observersOfThisFile();

async function addOperation(id: string, state: string): Promise<string> {
  const operation = newOperationId();
  await database().query(
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
    await insertSettledInstance(database(), one);
    expect(await send(down())).toEqual({ status: 204, outcome: 'noted' });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: 'unavailable' });
    expect(await settle()).toEqual({ settled: 0, changed: 0 });
    await letStand();
    expect(await settle()).toEqual({ settled: 1, changed: 1 });
    expect(await settle()).toEqual({ settled: 0, changed: 0 });
    const reason = 'Deployment does not have minimum availability. 0 of 1 pods are available.';
    expect(await rowOf()).toEqual({ status: 'error', status_reason: reason, observation: null });
    const events = await told();
    expect(events).toMatchObject([{ data: { instance: one, customer: 'c-1', from: 'running', to: 'error', reason } }]);
    expect(checkData(statusChanged, events[0]?.data)).toMatchObject({ accepted: true });
  });

  test('becomes the status with the next event, of whatever object', async () => {
    await insertSettledInstance(database(), one);
    await send(down());
    await letStand();
    const job = { kind: 'Job', status: { conditions: [{ type: 'Complete', status: 'True' }] } };
    expect(await send({ data: { ...deploymentOf(one), ...job } })).toMatchObject({ outcome: 'changed' });
    expect(await rowOf()).toMatchObject({ status: 'error' });
  });

  test('that the Deployment was deleted makes the instance missing, and a new one brings it back', async () => {
    await insertSettledInstance(database(), one);
    await send({ ...up(), type: resourceDelete.type });
    await letStand();
    await settle();
    expect(await rowOf()).toMatchObject({ status: 'missing', status_reason: `Deployment odoo-${one} was deleted.` });
    expect(await send(up())).toMatchObject({ outcome: 'changed' });
    expect(await rowOf()).toMatchObject({ status: 'running' });
    expect(flushes()).toBe(1);
  });

  test('is cleared by good news: a flap within two seconds changes nothing', async () => {
    await insertSettledInstance(database(), one);
    for (const message of [down(), up(), down(), up()]) await send(message);
    await letStand();
    expect(await settle()).toEqual({ settled: 0, changed: 0 });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: null });
    expect(await told()).toEqual([]);
  });

  test('after good news makes one change when it was a flap', async () => {
    await insertSettledInstance(database(), one, 'error');
    for (const message of [up(), down(), up()]) await send(message);
    expect(await told()).toMatchObject([{ data: { from: 'error', to: 'running' } }]);
  });

  test('that arrives late is old news', async () => {
    await insertSettledInstance(database(), one);
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
    database().query(`update streams set updated_at = updated_at - $1::integer * interval '1 minute'`, [minutes]);
  await insertSettledInstance(database(), one);
  await send(up(one, 999_999_999));
  await age(59);
  expect(await send(down(one, 20))).toMatchObject({ outcome: 'old-news' });
  await age(1);
  expect(await sendToOther(down(one, 21))).toMatchObject({ outcome: 'noted' });
  expect(await send(up(one, 20))).toMatchObject({ outcome: 'old-news' });
  const { rows } = await database().query('select sequence from streams');
  expect(rows).toEqual([{ sequence: 21 }]);
});

describe('nothing changes for an instance that is', () => {
  test.each(['stopped', 'suspended', 'maintenance', 'terminated', 'terminating', 'updating'])('%s', async (status) => {
    await insertSettledInstance(database(), one, status);
    for (const message of [down(), { ...up(), type: resourceDelete.type }, up(), down()]) await send(message);
    await letStand();
    await settle();
    expect(await rowOf()).toMatchObject({ status, observation: null });
    expect(await told()).toEqual([]);
  });

  test('unknown, or purged', async () => {
    expect(await send(down())).toEqual({ status: 204, outcome: 'unknown-instance' });
    await insertSettledInstance(database(), one, 'terminated');
    await database().query('update instances set purged_at = now()');
    expect(await send(down())).toMatchObject({ outcome: 'unknown-instance' });
    expect(await inbox()).toEqual(['unknown-instance', 'unknown-instance']);
    expect(await told()).toEqual([]);
  });
});

describe('an operation', () => {
  test.each(['queued', 'running', 'waiting'])('that is %s is told, and the status is its own', async (state) => {
    await insertSettledInstance(database(), one);
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
    await insertSettledInstance(database(), one);
    await send(down());
    await letStand();
    await addOperation(one, 'succeeded');
    expect(await settle()).toEqual({ settled: 1, changed: 0 });
    expect(await rowOf()).toMatchObject({ status: 'running', observation: null });
  });
});
