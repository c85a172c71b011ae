import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkData } from '#events/check.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { takeLease } from '#shared/adapters/postgres/leases.ts';
import { adoptLegacyServer } from '#shared/adapters/postgres/legacy-server.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type ReconcileDependencies, tick } from './handler.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query(
    'truncate operations, operation_steps, inbox, outbox, instances, suspensions, db_servers, leases cascade',
  );
  await database.query('update images set warm_target = 2');
  await database.query(`update reconcile_shards set due_at = 'infinity', holder = null, until = null`);
});

/** A tick on the real records; the broker, the functions, the Odoo servers and the cluster are in memory. */
function makeWorld(change: Partial<ReconcileDependencies> = {}) {
  const sent: OutgoingEvent[] = [];
  const straight: { to: string; event: OutgoingEvent }[] = [];
  const troubles: string[] = [];
  const reached: string[] = [];
  const swept: string[] = [];
  const takesAll = (events: readonly OutgoingEvent[]) => ({ published: events.map(({ id }) => id), failed: [] });
  const dependencies: ReconcileDependencies = {
    database,
    eventSource: 'urn:odoo-fleet',
    holder: 'test',
    publish: async (events) => (sent.push(...events), takesAll(events)),
    publishStraight: async (to, events) => {
      straight.push(...events.map((event) => ({ to, event })));
      return takesAll(events);
    },
    adoptLegacyServer: async () => {},
    parts: [],
    engine: {
      clusterId: 'default',
      surveyors: {
        cluster: async () => ({ driftOf: () => [], orphans: () => [] }),
        server: async () => ({ driftOf: () => [], orphans: () => [] }),
      },
      warmShortages: async () => [],
      settings: { everyMs: 300_000, orphanQuarantineDays: 7, purgesAfterWindow: false },
      onFinding: () => {},
    },
    onWarm: () => {},
    onTrouble: (what, error) => void troubles.push(`${what}: ${(error as Error).message}`),
    ports: {
      remember: () => {},
      reach: async ({ id }: DatabaseServer) => {
        reached.push(id);
        return { versionNumber: 150_018 };
      },
      sweep: async ({ id }: DatabaseServer) => (swept.push(id), []),
      warm: {
        survey: async () => [],
        beginTemplate: async () => ({ database: 'building', role: 'build' }),
        finishTemplate: async () => {},
        retireTemplate: async () => {},
        refill: async () => 0,
      },
      jobs: {
        look: async () => ({ state: 'absent' }),
        start: async () => {},
        remove: async () => {},
      },
    },
    ...change,
  };
  return { dependencies, sent, straight, troubles, reached, swept, tick: () => tick(dependencies) };
}

async function queueOperation(number: number, dueForMs = 0): Promise<string> {
  const instanceId = testInstanceId(number);
  const id = newOperationId();
  await insertTestInstance(database, instanceId);
  await insertOperation(database, {
    id,
    instanceId,
    kind: 'provision',
    definitionVersion: 1,
    deadlineMs: 60_000,
    idempotencyKey: id,
    requestedBy: 'urn:test',
    cause: 'event-1',
    request: {},
  });
  await database.query(
    `update operations set next_check_at = clock_timestamp() - $2::integer * interval '1 ms' where id = $1`,
    [id, dueForMs],
  );
  return id;
}

async function fillOutbox(events: number): Promise<void> {
  const example = { type: 'some.type', source: 'urn:odoo-fleet', data: {} };
  await enqueue(
    database,
    Array.from({ length: events }, () => ({ ...example, id: randomUUID() })),
  );
  await database.query(`update outbox set created_at = now() - interval '5 s'`);
}

describe('a tick', () => {
  test('with nothing to do says so', async () => {
    const { tick: go, troubles } = makeWorld();
    expect(await go()).toEqual({ published: 0, woken: 0, straight: 0, failed: 0, warm: [], passes: [] });
    expect(troubles).toEqual([]);
  });

  test('sends all that a function has left in the outbox, but not what one is about to send', async () => {
    await fillOutbox(130);
    const { tick: go, sent } = makeWorld();
    await database.query(`update outbox set created_at = now() where sequence = (select max(sequence) from outbox)`);
    expect(await go()).toMatchObject({ published: 129 });
    expect(new Set(sent.map(({ id }) => id)).size).toBe(129);
  });

  test('stops at a broker that refuses, and comes back with the next one', async () => {
    await fillOutbox(50);
    let calls = 0;
    const { tick: go } = makeWorld({
      publish: async (events) => {
        calls += 1;
        return { published: [], failed: events.map(({ id }) => ({ id, reason: 'answered with status 503' })) };
      },
    });
    expect(await go()).toMatchObject({ published: 0 });
    expect(calls).toBe(1);
  });

  test('tells due operations by the broker, and again only after a while', async () => {
    const id = await queueOperation(1);
    const { tick: go, sent, straight } = makeWorld();
    expect(await go()).toMatchObject({ woken: 1, straight: 0, failed: 0 });
    expect(sent).toMatchObject([
      { type: operationAdvance.type, data: { operation: id, kind: 'provision' }, extensions: { opkind: 'provision' } },
    ]);
    expect(checkData(operationAdvance, sent[0]?.data)).toMatchObject({ accepted: true });
    expect(await go()).toMatchObject({ woken: 0 });
    expect(straight).toEqual([]);
  });

  test('goes past a broker that takes everything and delivers nothing', async () => {
    const id = await queueOperation(1);
    const { tick: go, sent, straight } = makeWorld();
    await go();
    // ten seconds pass, and nobody has taken the operation
    await database.query(
      `update operations set told_at = told_at - interval '11 s', next_check_at = next_check_at - interval '11 s'`,
    );
    expect(await go()).toMatchObject({ woken: 1, straight: 1 });
    expect(sent).toHaveLength(1);
    expect(straight).toMatchObject([{ to: 'provision', event: { data: { operation: id } } }]);
  });

  test('goes past a broker that refuses, in the same tick', async () => {
    await queueOperation(1);
    const refused = async (events: readonly OutgoingEvent[]) => ({
      published: [],
      failed: events.map(({ id }) => ({ id, reason: 'not sent' })),
    });
    const { tick: go, straight } = makeWorld({ publish: refused });
    expect(await go()).toMatchObject({ woken: 1, straight: 1, failed: 0 });
    expect(straight).toHaveLength(1);
    await queueOperation(2);
    const deaf = makeWorld({ publish: refused, publishStraight: async (_to, events) => refused(events) });
    expect(await deaf.tick()).toMatchObject({ woken: 1, straight: 0, failed: 1 });
  });

  test('beside another shares the work', async () => {
    for (let number = 0; number < 20; number += 1) await queueOperation(number);
    const { sent, dependencies } = makeWorld();
    const reports = await Promise.all([tick(dependencies), tick(dependencies), tick(dependencies)]);
    expect(reports.reduce((sum, { woken }) => sum + woken, 0)).toBe(20);
    const told = sent.map(({ data }) => (data as { operation: string }).operation);
    expect(new Set(told).size).toBe(20);
    expect(told).toHaveLength(20);
  });
});

describe('the upkeep of the servers', () => {
  test('reaches a new one, notes it, sweeps it and begins its template', async () => {
    await insertServer(database, { id: 'one', maxInstances: 5 });
    await database.query('update db_servers set reached_at = null');
    const { tick: go, reached, swept } = makeWorld();
    expect((await go()).warm).toMatchObject([{ serverId: 'one', template: 'building' }]);
    const { rows } = await database.query('select server_version, reached_at is not null as reached from db_servers');
    expect(rows).toEqual([{ server_version: 150_018, reached: true }]);
    await go();
    expect(reached).toEqual(['one']);
    expect(swept).toEqual(['one', 'one']);
  });

  test('is done by one tick at a time, and a dead one keeps others off only for a while', async () => {
    await insertServer(database, { id: 'one', maxInstances: 5 });
    const { tick: go, swept } = makeWorld();
    await takeLease(database, { name: 'warm-databases', holder: 'dead', leaseMs: 60_000 });
    expect(await go()).toMatchObject({ warm: [] });
    expect(swept).toEqual([]);
    await database.query(`update leases set until = now() - interval '1 s'`);
    await go();
    expect(swept).toEqual(['one']);
    expect((await database.query('select 1 from leases')).rowCount).toBe(0);
  });

  test('goes on with the other servers when one is away', async () => {
    for (const id of ['bad', 'good']) await insertServer(database, { id, maxInstances: 5 });
    const { dependencies, troubles, swept } = makeWorld();
    const { sweep } = dependencies.ports;
    dependencies.ports.sweep = async (server) => {
      if (server.id === 'bad') throw new Failure('unavailable', 'No route.');
      return await sweep(server);
    };
    const report = await tick(dependencies);
    expect(troubles).toEqual(['database server bad: No route.']);
    expect(swept).toEqual(['good']);
    expect(report.warm.map(({ serverId }) => serverId)).toEqual(['good']);
  });

  test('takes the older platform’s server where there is no other', async () => {
    const legacy = { host: 'old.example', port: 5432, user: 'odoo' };
    const { tick: go, reached } = makeWorld({
      adoptLegacyServer: async () => void (await adoptLegacyServer(database, legacy)),
    });
    await go();
    expect(reached).toEqual(['legacy']);
    expect((await database.query('select id, reached_at is not null as reached from db_servers')).rows).toEqual([
      { id: 'legacy', reached: true },
    ]);
  });

  test('keeps warm only what an active image wishes', async () => {
    await insertServer(database, { id: 'one', maxInstances: 5 });
    await database.query('update images set warm_target = 0');
    expect((await makeWorld().tick()).warm).toEqual([]);
  });
});

describe('trouble', () => {
  test('of one part does not keep the others from running', async () => {
    await fillOutbox(1);
    await queueOperation(1, 20_000);
    const {
      tick: go,
      straight,
      troubles,
    } = makeWorld({
      publish: async () => {
        throw new Failure('unavailable', 'The broker’s address is unknown.');
      },
    });
    expect(await go()).toMatchObject({ published: 0, woken: 1, straight: 1 });
    expect(troubles).toEqual(['outbox: The broker’s address is unknown.']);
    expect(straight).toHaveLength(1);
  });

  test('of what others add is told of and keeps nothing away', async () => {
    await database.query(`update reconcile_shards set due_at = now() where shard = 'a'`);
    const done: string[] = [];
    const { tick: go, troubles } = makeWorld({
      parts: [
        { name: 'one', run: () => Promise.reject(new Failure('timeout', 'Too slow.')) },
        { name: 'two', run: async () => done.push('two') },
      ],
    });
    expect((await go()).passes).toMatchObject([{ shard: 'a', instances: 0 }]);
    expect(troubles).toEqual(['one: Too slow.']);
    expect(done).toEqual(['two']);
  });

  test('of all parts is told to the source of the ticks', async () => {
    const away = new Failure('unavailable', 'The database is away.');
    const broken: Database = {
      ...database,
      query: () => Promise.reject(away),
      transaction: () => Promise.reject(away),
    };
    const { tick: go, troubles } = makeWorld({ database: broken });
    await expect(go()).rejects.toBe(away);
    expect(troubles).toHaveLength(4);
  });
});
