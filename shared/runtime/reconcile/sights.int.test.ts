import { describe, expect, test } from 'vitest';
import { statusChanged } from '#events/instance/status-changed.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { settleObservations } from '../observations.ts';
import { planOf } from './plan.ts';
import {
  endOperation,
  insertMadeInstance,
  makeWorld,
  passOver,
  queueOperation,
  recordsOfThisFile,
  rowsWrittenBy,
  storedFindings,
} from './world.fixture.ts';

const database = recordsOfThisFile();

const id = testInstanceId(1);

describe('what the cluster says of an instance that is at rest', () => {
  const reason = '0 of 1 pods are available.';
  const statusOf = async () => {
    const text = `select status, n.what as noted from instances i
      left join observations n on n.instance_id = i.id where i.id = $1`;
    return (await database().query<{ status: string; noted: string | null }>(text, [id])).rows[0];
  };
  const letStand = () => database().query(`update observations set at = at - interval '3 s'`);

  test('is noted when its status says otherwise, believed by the tick when it has stood, and told', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    places.seen.set(id, { what: 'unavailable', reason });
    await passOver(engine, 'a');
    expect(await statusOf()).toEqual({ status: 'running', noted: 'unavailable' });
    await letStand();
    await settleObservations(engine);
    expect(await statusOf()).toEqual({ status: 'error', noted: null });
    places.seen.set(id, { what: 'available' });
    await passOver(engine, 'a');
    expect(await statusOf()).toEqual({ status: 'running', noted: null });
    const { rows } = await database().query(
      `select data ->> 'from' as from, data ->> 'to' as to from outbox where type like '%.status.changed' order by sequence`,
    );
    expect(rows).toEqual([
      { from: 'running', to: 'error' },
      { from: 'error', to: 'running' },
    ]);
  });

  test('changes nothing when its status says the same, or is not the cluster’s to say', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    places.seen.set(id, { what: 'available' });
    expect(await rowsWrittenBy(database(), () => passOver(engine, 'a'))).toEqual({});
    await database().query(`update instances set status = 'suspended' where id = $1`, [id]);
    await database().query(`insert into suspensions (instance_id, reason, cause) values ($1, 'billing', 'x')`, [id]);
    await passOver(engine, 'a');
    expect(await statusOf()).toEqual({ status: 'suspended', noted: null });
  });

  test('puts a status right, which then is no finding, and no repair is asked for', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    const told = async () => (await database().query<{ type: string }>('select type from outbox')).rows;
    await database().query(`update instances set status = 'error' where id = $1`, [id]);
    places.seen.set(id, { what: 'available' });
    const { drifts } = await planOf(engine, ['a']);
    expect(drifts).toMatchObject([{ kind: 'unsettled', subject: id, action: 'put the status right' }]);
    await passOver(engine, 'a');
    expect(await statusOf()).toEqual({ status: 'running', noted: null });
    expect(await storedFindings(database())).toEqual([]);
    expect(await told()).toEqual([{ type: statusChanged.type }]);
  });

  test.each([
    ['an event', () => insertStream(`Deployment odoo-tenants/odoo-${id}`)],
    ['the end of an operation', async () => endOperation(database(), await queueOperation(database(), id, 'stop'))],
  ])('is not believed when %s has told something since it was read', async (_what, happens) => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    places.seen.set(id, { what: 'unavailable', reason });
    // the first thing that is written after the look is what was seen
    let happened: Promise<unknown> | undefined;
    const late: Database = {
      ...database(),
      transaction: async (work, options) => {
        happened ??= happens();
        await happened;
        return await database().transaction(work, options);
      },
    };
    await passOver({ ...engine, database: late }, 'a');
    expect(await statusOf()).toEqual({ status: 'running', noted: null });
  });

  const insertStream = (stream: string) =>
    database().query(
      `insert into streams (source, stream, sequence, updated_at) values ('urn:x', $1, 1, clock_timestamp())`,
      [stream],
    );
});
