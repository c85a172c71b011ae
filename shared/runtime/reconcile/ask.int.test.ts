import { describe, expect, test } from 'vitest';
import { checkData } from '#events/check.ts';
import { purgeRequested } from '#events/instance/purge.ts';
import { repairRequested } from '#events/instance/repair.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { correctServerCount } from '#shared/adapters/postgres/fleet-facts.ts';
import { type DriftKind, driftKinds, driftPolicies } from '#shared/domain/drift/policy.ts';
import { insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import {
  endOperation,
  insertMadeInstance,
  makeWorld,
  passOver,
  queueOperation,
  recordsOfThisFile,
  storedFindings,
} from './world.fixture.ts';

const database = recordsOfThisFile();

const id = testInstanceId(1);
const asked = async () =>
  (
    await database().query<{ id: string; type: string; data: { instance: string; findings?: string[] } }>(
      'select id, type, data from outbox order by sequence',
    )
  ).rows;
const letTimePass = (minutes: number) =>
  database().query(`update findings set next_repair_at = next_repair_at - $1::integer * interval '1 minute'`, [
    minutes,
  ]);

async function worldWith(kinds: readonly DriftKind[]) {
  await insertMadeInstance(database(), id);
  const world = makeWorld(database());
  world.places.cluster.set(
    id,
    kinds.map((kind) => ({ kind, detail: kind })),
  );
  return world;
}

describe('a repair', () => {
  test('is asked for once, with all that is amiss, and again after growing waits', async () => {
    const { engine } = await worldWith(['deployment-missing', 'service-changed', 'host-clash']);
    await passOver(engine, 'a');
    const [first] = await asked();
    expect(first).toMatchObject({
      type: repairRequested.type,
      data: { instance: id, findings: ['deployment-missing', 'service-changed'] },
    });
    expect(checkData(repairRequested, first?.data)).toMatchObject({ accepted: true });
    await passOver(engine, 'a');
    expect(await asked()).toHaveLength(1);
    for (const [minutes, events] of [
      [1, 2],
      [1, 2],
      [1, 3],
      [3, 3],
      [1, 4],
    ] as const) {
      await letTimePass(minutes);
      await passOver(engine, 'a');
      expect(await asked(), `after ${minutes} min`).toHaveLength(events);
    }
    expect(new Set((await asked()).map((event) => event.id)).size).toBe(4);
    expect((await storedFindings(database())).map(({ kind, repairs }) => [kind, repairs])).toEqual([
      ['deployment-missing', 4],
      ['host-clash', 0],
      ['service-changed', 4],
    ]);
  });

  test('that did not last is asked for with the longer wait', async () => {
    const { engine, places } = await worldWith(['deployment-missing']);
    await passOver(engine, 'a');
    const drift = places.cluster.get(id) ?? [];
    places.cluster.clear();
    await passOver(engine, 'a');
    places.cluster.set(id, drift);
    await passOver(engine, 'a');
    expect(await asked()).toHaveLength(1);
    await letTimePass(1);
    await passOver(engine, 'a');
    expect(await storedFindings(database())).toMatchObject([{ repairs: 2 }]);
    // a day later it is another trouble
    places.cluster.clear();
    await passOver(engine, 'a');
    await database().query(`update findings set resolved_at = now() - interval '25 hours'`);
    places.cluster.set(id, drift);
    await passOver(engine, 'a');
    expect(await storedFindings(database())).toMatchObject([{ repairs: 1 }]);
    expect(await asked()).toHaveLength(3);
  });

  test('is asked for by exactly the kinds whose policy says so', async () => {
    for (const index of driftKinds.keys()) await insertMadeInstance(database(), testInstanceId(index + 1));
    const { engine, places } = makeWorld(database());
    for (const [index, kind] of driftKinds.entries())
      places.cluster.set(testInstanceId(index + 1), [{ kind, detail: '' }]);
    await passOver(engine, 'a');
    const expected = driftKinds.filter(
      (kind) => driftPolicies[kind].policy === 'repair' && kind !== 'server-count-wrong',
    );
    expect(new Set((await asked()).flatMap(({ data }) => data.findings ?? []))).toEqual(new Set(expected));
    expect(await storedFindings(database())).toHaveLength(driftKinds.length);
  });

  test.each([
    ['whose records say that it was never made', 'observed_generation = 0'],
    ['that is purged', 'purged_at = now()'],
  ])('is not asked for an instance %s after it was seen', async (_what, change) => {
    const { engine } = await worldWith(['deployment-missing']);
    const { database: real } = engine;
    // after the pages, before what was found is written
    const late: Database = {
      ...real,
      transaction: async (work, options) => {
        await real.query(`update instances set ${change} where id = $1`, [id]);
        return await real.transaction(work, options);
      },
    };
    await passOver({ ...engine, database: late }, 'a');
    expect(await storedFindings(database())).toHaveLength(1);
    expect(await asked()).toEqual([]);
  });

  test('is not asked for while another operation is unfinished, also one that came after the look', async () => {
    const { engine } = await worldWith(['replicas-wrong']);
    const { database: real } = engine;
    let suspension: string | undefined;
    const late: Database = {
      ...real,
      transaction: async (work, options) => {
        suspension ??= await queueOperation(database(), id, 'suspend');
        return await real.transaction(work, options);
      },
    };
    await passOver({ ...engine, database: late }, 'a');
    expect(await asked()).toEqual([]);
    await endOperation(database(), suspension ?? '', { agoMs: 1_000 });
    // the suspension has made it right
    await passOver({ ...makeWorld(database()).engine }, 'a');
    expect(await storedFindings(database())).toMatchObject([{ is_open: false }]);
    expect(await asked()).toEqual([]);
  });

  test('is asked for a bounded number of instances per pass, the others later', async () => {
    for (let number = 1; number <= 60; number += 1) await insertMadeInstance(database(), testInstanceId(number));
    const { engine, places } = makeWorld(database());
    for (let number = 1; number <= 60; number += 1) {
      places.cluster.set(testInstanceId(number), [{ kind: 'deployment-missing', detail: 'gone' }]);
    }
    const [report] = await passOver(engine, 'a');
    expect(report).toMatchObject({ findings: 60, written: 60, asked: 50 });
    const [second] = await passOver(engine, 'a');
    expect(second).toMatchObject({ written: 0, asked: 10 });
    expect(new Set((await asked()).map(({ data }) => data.instance)).size).toBe(60);
  });
});

describe('a purge', () => {
  const terminate = () =>
    database().query(
      `update instances set desired_state = 'terminated', status = 'terminated', desired_before = 'running',
         terminated_at = now() - interval '31 days', purge_after = now() - interval '1 day' where id = $1`,
      [id],
    );

  test('that is due is reported, and asked for only where that is switched on', async () => {
    const { engine } = await worldWith([]);
    await terminate();
    await passOver(engine, 'fleet');
    expect(await storedFindings(database())).toMatchObject([{ kind: 'purge-due', subject: id, shard: 'fleet' }]);
    expect(await asked()).toEqual([]);
    const settings = { ...engine.settings, purgesAfterWindow: true };
    await passOver({ ...engine, settings }, 'fleet');
    await passOver({ ...engine, settings }, 'fleet');
    const [request, ...others] = await asked();
    expect(others).toEqual([]);
    expect(request).toMatchObject({ type: purgeRequested.type, data: { instance: id } });
    expect(checkData(purgeRequested, request?.data)).toMatchObject({ accepted: true });
    expect(request?.data).not.toHaveProperty('withoutbackup');
  });

  test('is not asked for what was brought back meanwhile', async () => {
    const { engine } = await worldWith([]);
    await terminate();
    const { database: real } = engine;
    const late: Database = {
      ...real,
      transaction: async (work, options) => {
        await real.query(
          `update instances set desired_state = 'running', terminated_at = null, purge_after = null,
             desired_before = null where id = $1`,
          [id],
        );
        return await real.transaction(work, options);
      },
    };
    await passOver({ ...engine, database: late, settings: { ...engine.settings, purgesAfterWindow: true } }, 'fleet');
    expect(await asked()).toEqual([]);
  });
});

describe('the fleet', () => {
  test('a wrong count is put right in place, under its lock, and told of', async () => {
    const { engine } = await worldWith([]);
    await database().query('update db_servers set instance_count = 5');
    await passOver(engine, 'fleet');
    expect(await storedFindings(database())).toMatchObject([
      { kind: 'server-count-wrong', subject: 'server one', detail: 'counted 5, rows 1', is_open: true },
    ]);
    expect((await database().query('select instance_count from db_servers')).rows).toEqual([{ instance_count: 1 }]);
    await passOver(engine, 'fleet');
    expect(await storedFindings(database())).toMatchObject([{ is_open: false }]);
  });

  test('a count is put right with the placement that was going on, and not without it', async () => {
    await worldWith([]);
    const placed = testInstanceId(10);
    await insertTestInstance(database(), placed);
    await database().query('update db_servers set instance_count = 100');
    const [isPlacing, mayCommit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    // as placement does it: both rows in one statement
    const placement = database().transaction(async (transaction) => {
      await transaction.query(
        `with noted as (update instances set db_server_id = 'one' where id = $1)
         update db_servers set instance_count = instance_count + 1 where id = 'one'`,
        [placed],
      );
      isPlacing.resolve();
      await mayCommit.promise;
    });
    await isPlacing.promise;
    const correction = correctServerCount(database(), 'one');
    const waiting = 'select 1 from pg_locks where not granted';
    await expect.poll(async () => (await database().query(waiting)).rowCount, { timeout: 15_000 }).toBeGreaterThan(0);
    mayCommit.resolve();
    await placement;
    expect(await correction).toEqual({ from: 101, to: 2 });
  });

  test('a count that cannot be right is left and told of', async () => {
    const { engine, troubles } = await worldWith([]);
    await insertMadeInstance(database(), testInstanceId(2));
    await database().query('update db_servers set instance_count = 1, max_instances = 1');
    await passOver(engine, 'fleet');
    expect(troubles).toHaveLength(1);
    expect(await storedFindings(database())).toMatchObject([
      { detail: 'counted 1, rows 2: more than max_instances, 1', is_open: true },
    ]);
  });

  test('tells of operations nobody carries on, of events that wait and of warm databases that are short', async () => {
    const { engine, shortages } = await worldWith([]);
    const stuck = await queueOperation(database(), id, 'stop');
    await insertMadeInstance(database(), testInstanceId(2));
    const overdue = await queueOperation(database(), testInstanceId(2), 'start');
    await insertMadeInstance(database(), testInstanceId(3));
    await queueOperation(database(), testInstanceId(3), 'start');
    await database().query(`update operations set next_check_at = now() - interval '11 minutes' where id = $1`, [
      stuck,
    ]);
    await database().query(`update operations set deadline = now() - interval '11 minutes' where id = $1`, [overdue]);
    await database().query(
      `insert into outbox (id, type, source, data, created_at)
       values (gen_random_uuid(), 'some.type', 'urn:x', '{}', now() - interval '2 minutes')`,
    );
    await database().query(
      `insert into dead_events (received_by, reason_code, reason, body, digest)
       values ('provision', 'invalid-event', 'x', '', sha256('x'))`,
    );
    shortages.push({ serverId: 'one', digest: 'abc', reason: '0 of 4' });
    await passOver(engine, 'fleet');
    expect((await storedFindings(database())).map(({ kind, subject }) => `${kind}: ${subject}`)).toEqual([
      'dead-events-waiting: dead events',
      `operation-overdue: operation ${overdue}`,
      `operation-stuck: operation ${stuck}`,
      'outbox-waiting: outbox',
      'warm-pool-low: template abc on server one',
    ]);
    await database().query('truncate outbox, dead_events');
    for (const id of [stuck, overdue]) await endOperation(database(), id);
    shortages.length = 0;
    await passOver(engine, 'fleet');
    expect((await storedFindings(database())).filter(({ is_open }) => is_open)).toEqual([]);
  });
});
