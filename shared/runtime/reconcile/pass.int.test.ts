import { describe, expect, test } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { finishShard, takeDueShard, wakeShard } from '#shared/adapters/postgres/reconcile-shards.ts';
import type { DriftKind } from '#shared/domain/drift/policy.ts';
import { insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { reconcileDueShards } from './shards.ts';
import {
  endOperation,
  insertMadeInstance,
  makeDue,
  makeWorld,
  passOver,
  queueOperation,
  recordsOfThisFile,
  rowsWrittenBy,
  storedFindings,
} from './world.fixture.ts';

const database = recordsOfThisFile();

const id = testInstanceId(1);
const missing = (kind: DriftKind = 'deployment-missing') => ({ kind, detail: `Deployment odoo-${id}` });

describe('a shard that is woken', () => {
  const dueOf = async () => {
    const text = "select due_at <= clock_timestamp() as due from reconcile_shards where shard = 'a'";
    return (await database().query<{ due: boolean }>(text)).rows[0]?.due;
  };

  test('is due at once, and after its pass in its ordinary time', async () => {
    const { engine } = makeWorld(database());
    await passOver(engine, 'a');
    expect(await dueOf()).toBe(false);
    await wakeShard(database(), id);
    expect(await dueOf()).toBe(true);
    await passOver(engine, 'a');
    expect(await dueOf()).toBe(false);
  });

  test('during its pass is looked at again: what was read may be older', async () => {
    await makeDue(database(), ['a']);
    const taken = await takeDueShard(database(), { holder: 'one', leaseMs: 60_000 });
    if (taken === undefined) throw new Error('no shard was due');
    await wakeShard(database(), id);
    expect(await finishShard(database(), taken, { everyMs: 3_600_000, blind: [] })).toBe(true);
    expect(await dueOf()).toBe(true);
  });
});

describe('a pass', () => {
  test('writes nothing but its shard’s row when nothing drifted', async () => {
    for (let number = 1; number <= 700; number += 1) await insertMadeInstance(database(), testInstanceId(number));
    const { engine } = makeWorld(database());
    let reports: Awaited<ReturnType<typeof passOver>> = [];
    const written = await rowsWrittenBy(database(), async () => {
      reports = await passOver(engine, 'a');
    });
    expect(reports).toEqual([{ shard: 'a', instances: 700, findings: 0, written: 0, asked: 0, blind: [] }]);
    expect(written).toEqual({});
  });

  test('writes a finding once, tells of it once, and notes when it is gone', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places, news } = makeWorld(database());
    places.cluster.set(id, [{ kind: 'host-clash', detail: 'Ingress other' }]);
    await passOver(engine, 'a');
    const stored = { kind: 'host-clash', subject: id, shard: 'a', place: 'cluster', repairs: 0 };
    expect(await storedFindings(database())).toEqual([{ ...stored, detail: 'Ingress other', is_open: true }]);

    expect(await rowsWrittenBy(database(), () => passOver(engine, 'a'))).toEqual({});
    places.cluster.set(id, [{ kind: 'host-clash', detail: 'Ingress another' }]);
    expect(await rowsWrittenBy(database(), () => passOver(engine, 'a'))).toEqual({ findings: 1 });
    expect(news).toHaveLength(1);

    places.cluster.clear();
    await passOver(engine, 'a');
    expect(await storedFindings(database())).toEqual([{ ...stored, detail: 'Ingress another', is_open: false }]);
    expect(await rowsWrittenBy(database(), () => passOver(engine, 'a'))).toEqual({});
  });

  test('keeps what it knows of a place it cannot read, and shows the blindness', async () => {
    await insertMadeInstance(database(), id, 'one');
    await insertMadeInstance(database(), testInstanceId(2), 'two');
    const { engine, places, troubles } = makeWorld(database());
    places.servers.set('one', new Map([[id, [{ kind: 'database-missing', detail: 'odoo_x' }]]]));
    places.cluster.set(id, [{ kind: 'host-clash', detail: 'Ingress other' }]);
    await passOver(engine, 'a');
    places.servers.clear();
    places.cluster.clear();
    places.failing.add('server one');
    const [report] = await passOver(engine, 'a');
    expect(report?.blind).toEqual(['server one']);
    expect(troubles).toEqual(['survey of server one: server one is away']);
    expect((await storedFindings(database())).map(({ kind, is_open }) => [kind, is_open])).toEqual([
      ['database-missing', true],
      ['host-clash', false],
    ]);
    await passOver(engine, 'fleet');
    expect(await storedFindings(database())).toContainEqual(
      expect.objectContaining({ kind: 'place-unreadable', subject: 'server one', is_open: true }),
    );
    places.failing.clear();
    await passOver(engine, 'a');
    await passOver(engine, 'fleet');
    expect((await storedFindings(database())).filter(({ is_open }) => is_open)).toEqual([]);
  });

  test('a server that hangs keeps nothing away but what is on it, and is waited for once a tick', async () => {
    await insertMadeInstance(database(), id, 'one');
    await insertMadeInstance(database(), testInstanceId(2), 'two');
    const { engine, places } = makeWorld(database());
    places.hanging.add('server one');
    places.servers.set('two', new Map([[testInstanceId(2), [{ kind: 'database-missing', detail: 'odoo_y' }]]]));
    await makeDue(database(), ['a', 'b', 'c']);
    const reports = await reconcileDueShards(engine, { budgetMs: 50_000 });
    expect(reports.map(({ shard }) => shard).sort()).toEqual(['a', 'b', 'c']);
    expect(reports.every(({ blind }) => blind[0] === 'server one')).toBe(true);
    expect(places.surveys.filter((place) => place === 'server one')).toHaveLength(1);
    expect(await storedFindings(database())).toMatchObject([{ kind: 'database-missing', subject: testInstanceId(2) }]);
  });

  test('does not ask a server that an operator has marked', async () => {
    await insertMadeInstance(database(), id);
    await database().query(`update db_servers set status = 'error'`);
    const { engine, places, troubles } = makeWorld(database());
    const [report] = await passOver(engine, 'a');
    expect([report?.blind, places.surveys, troubles]).toEqual([['server one'], ['cluster'], []]);
  });

  test('leaves alone what an operation is at work on, was never made, or is purged', async () => {
    const [moving, unmade, purged] = [2, 3, 4].map(testInstanceId) as [string, string, string];
    for (const one of [id, moving, purged]) await insertMadeInstance(database(), one);
    await insertTestInstance(database(), unmade);
    await database().query(
      `update instances set desired_state = 'terminated', status = 'terminated', purged_at = now() where id = $1`,
      [purged],
    );
    const { engine, places } = makeWorld(database());
    for (const one of [id, moving, unmade, purged]) places.cluster.set(one, [{ kind: 'host-clash', detail: 'x' }]);
    const operation = await queueOperation(database(), moving, 'stop');
    await passOver(engine, 'a');
    expect((await storedFindings(database())).map(({ subject }) => subject)).toEqual([id]);
    await endOperation(database(), operation, { agoMs: 1_000 });
    await passOver(engine, 'a');
    expect((await storedFindings(database())).map(({ subject }) => subject)).toEqual([id, moving]);
  });

  test('leaves alone what an operation was at work on while the places were read', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    const { surveyors } = engine;
    // between the survey and the records a whole operation comes and goes
    const cluster: typeof surveyors.cluster = async (shard) => {
      const survey = await surveyors.cluster(shard);
      await endOperation(database(), await queueOperation(database(), id, 'stop'));
      return survey;
    };
    places.cluster.set(id, [{ kind: 'replicas-wrong', detail: 'of an earlier world' }]);
    await passOver({ ...engine, surveyors: { ...surveyors, cluster } }, 'a');
    expect(await storedFindings(database())).toEqual([]);
  });

  test('tells of what no record knows, and puts it aside when it has stood for its days', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    const aside: string[] = [];
    const orphanOf = (name: string) => ({
      kind: 'orphan-database' as const,
      name: `database odoo_${name}`,
      instanceId: name,
      detail: 'no record',
      quarantine: async () => void aside.push(name),
    });
    const lost = testInstanceId(9);
    places.serverOrphans.set('one', [orphanOf(lost), orphanOf(id)]);
    await passOver(engine, 'a');
    expect(await storedFindings(database())).toMatchObject([
      { kind: 'orphan-database', subject: `database odoo_${lost} on server one` },
    ]);
    expect(aside).toEqual([]);
    await database().query(`update findings set first_seen = now() - interval '8 days'`);
    // its record came after the pages were read
    const late: Database = {
      ...database(),
      transaction: async (work, options) => {
        await insertTestInstance(database(), lost);
        return await database().transaction(work, options);
      },
    };
    await passOver({ ...engine, database: late }, 'a');
    expect(aside).toEqual([]);
    await database().query('delete from instances where id = $1', [lost]);
    await passOver(engine, 'a');
    expect(aside).toEqual([lost]);
    const { rows } = await database().query(`select action, detail from audit where action = 'orphan.quarantined'`);
    expect(rows).toMatchObject([{ detail: { subject: `database odoo_${lost} on server one` } }]);
  });

  test('whose lease was taken over writes nothing', async () => {
    await insertMadeInstance(database(), id);
    const { engine, places } = makeWorld(database());
    places.cluster.set(id, [missing()]);
    const { surveyors } = engine;
    const cluster: typeof surveyors.cluster = async (shard) => {
      await database().query(`update reconcile_shards set holder = 'another' where shard = 'a'`);
      return await surveyors.cluster(shard);
    };
    expect(await passOver({ ...engine, surveyors: { ...surveyors, cluster } }, 'a')).toEqual([]);
    expect(await storedFindings(database())).toEqual([]);
  });
});

describe('the shards', () => {
  test('are shared by several processes, each passed over once', async () => {
    await insertMadeInstance(database(), id);
    const { engine } = makeWorld(database());
    const names = 'abcdefghijklmnopqrstuvwxyz234567'.split('');
    await makeDue(database(), names);
    const runs = Array.from({ length: 5 }, () => reconcileDueShards(engine, { budgetMs: 15_000 }));
    const passed = (await Promise.all(runs)).flat().map(({ shard }) => shard);
    expect(passed.sort()).toEqual(names.sort());
  });

  test('come again after their time, spread by a tenth', async () => {
    const { engine } = makeWorld(database());
    await makeDue(database(), ['a', 'b', 'c', 'd', 'e', 'f']);
    await reconcileDueShards(engine, { budgetMs: 15_000 });
    const { rows } = await database().query<{ seconds: number }>(
      `select extract(epoch from due_at - clock_timestamp())::float8 as seconds from reconcile_shards
       where due_at < 'infinity'`,
    );
    expect(rows).toHaveLength(6);
    for (const { seconds } of rows) expect(seconds > 260 && seconds < 331).toBe(true);
    expect(new Set(rows.map(({ seconds }) => Math.round(seconds))).size).toBeGreaterThan(1);
  });

  test('of a dead process are taken when its lease is over', async () => {
    const { engine } = makeWorld(database());
    await makeDue(database(), ['a']);
    await database().query(
      `update reconcile_shards set holder = 'dead', until = now() + interval '1 minute' where shard = 'a'`,
    );
    expect(await reconcileDueShards(engine, { budgetMs: 5_000 })).toEqual([]);
    await database().query(`update reconcile_shards set until = now() - interval '1 s' where shard = 'a'`);
    expect(await reconcileDueShards(engine, { budgetMs: 5_000 })).toHaveLength(1);
  });

  test('are left for the next tick when the time of this one is over', async () => {
    const { engine } = makeWorld(database());
    await makeDue(database(), ['a', 'b']);
    expect(await reconcileDueShards(engine, { budgetMs: 0 })).toEqual([]);
  });
});
