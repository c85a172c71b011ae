import { beforeAll, beforeEach, expect, test } from 'vitest';
import {
  beginAfresh,
  endHeld,
  holdOperation,
  insertPlacedInstance,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { markSidesPurged, takeOldSides } from '#shared/adapters/postgres/old-side-records.ts';
import { restoreRecords } from '#shared/adapters/postgres/restore-records.ts';
import type { JobState } from '#shared/domain/instance/ports.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeOldSideRemoval } from './old-sides.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate restores, loads cascade');
  await beginAfresh(database);
});

/** A restore that has succeeded; what it took out is kept until so many hours from now. */
async function restored(number: number, hours: number): Promise<{ id: string; instanceId: string }> {
  const instanceId = await insertPlacedInstance(database, number);
  const { id } = await holdOperation(database, instanceId);
  const { rows } = await database.query<{ id: string }>(
    `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, finished_at, snapshot_at,
       manifest_key, manifest_sha256)
     select gen_random_uuid(), i.id, i.customer_id, 'manual', 'succeeded', 1, i.db_server_id, 'k', now(), now(), 'm', repeat('0', 64)
     from instances i where id = $1 returning id::text`,
    [instanceId],
  );
  await database.query(
    `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, switched_at, finished_at, keep_until)
     select $1, i.id, i.db_server_id, $3, 'succeeded', 1, 'k', now(), now(), now() + $4 * interval '1 hour'
     from instances i where i.id = $2`,
    [id, instanceId, rows[0]?.id, hours],
  );
  return { id, instanceId };
}

function makeWorld(state: JobState = { state: 'absent' }) {
  const done: string[] = [];
  const troubles: string[] = [];
  const world = { job: state, done, troubles, stateOf: (_name: string): JobState => world.job };
  const run = makeOldSideRemoval({
    database,
    holder: 'test',
    workers: {
      look: async (name) => world.stateOf(name),
      start: async ({ name, volume }) => void done.push(`${name} ${volume?.isWritable} ${volume?.isInUse}`),
      remove: async (name) => void done.push(`without ${name}`),
    },
    sides: { dropOldSide: async ({ id }, name) => void done.push(`${name} on ${id}`) },
    cluster: { countPods: async () => 1 },
    storeAccess: async () => ({ kind: 'directory', folder: '/x' }),
    workerImage: () => 'worker',
    onTrouble: (what, error) => void troubles.push(`${what}: ${(error as Error).message}`),
  });
  return Object.assign(world, { run });
}

/** When the pause of all of them is over. */
async function laterRun(world: ReturnType<typeof makeWorld>) {
  await database.query(`update restores set drop_after = clock_timestamp() - interval '1 second'
    where drop_after is not null`);
  return await world.run();
}

const short = (id: string) => id.replaceAll('-', '').slice(-8);

test('what a restore took out goes when its time is over: the database, then by a Job the folder', async () => {
  await restored(1, 1);
  const { id, instanceId } = await restored(2, -1);
  const world = makeWorld();
  const database = `old_${instanceId}_${short(id)} on one`;
  const job = `odoo-${instanceId}-tidy-${short(id)}-1`;
  expect(await world.run()).toEqual({ dropped: 0 });
  expect(world.done).toEqual([database, `${job} true true`]);
  world.job = { state: 'running' };
  expect(await laterRun(world)).toEqual({ dropped: 0 });
  world.job = { state: 'succeeded' };
  expect(await laterRun(world)).toEqual({ dropped: 1 });
  expect(world.done.slice(2)).toEqual([database, database, `without ${job}`]);
  expect(await laterRun(world)).toEqual({ dropped: 0 });
  expect(world.troubles).toEqual([]);
});

test('a Job that failed is told of, and begun anew after pauses that grow, not by every tick', async () => {
  const { id } = await restored(1, -1);
  const world = makeWorld({ state: 'failed', reason: 'the volume is read-only' });
  const pauses: number[] = [];
  for (let go = 1; go <= 12; go += 1) {
    expect(await laterRun(world)).toEqual({ dropped: 0 });
    expect(world.troubles).toHaveLength(go);
    expect(await world.run()).toEqual({ dropped: 0 });
    expect(world.troubles, 'the next tick leaves it alone').toHaveLength(go);
    const { rows } = await database.query<{ minutes: number }>(
      `select round(extract(epoch from drop_after - clock_timestamp()) / 60)::integer as minutes from restores`,
    );
    pauses.push(rows[0]?.minutes ?? 0);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
  expect(world.troubles[0]).toContain(`what restore ${id} took out`);
});

test('ten that cannot be removed, or whose Jobs do not end, keep no other waiting', async () => {
  const stuck = new Set<string>();
  for (let number = 1; number <= 10; number += 1) stuck.add((await restored(number, -100)).instanceId);
  const { instanceId } = await restored(11, -1);
  for (const state of ['failed', 'running'] as const) {
    const world = makeWorld();
    world.stateOf = (name) => {
      if (![...stuck].some((one) => name.includes(one))) return { state: 'succeeded' };
      return state === 'failed' ? { state, reason: 'pending for an hour' } : { state };
    };
    await database.query('update restores set drop_after = null, drop_tries = 0, dropped_at = null');
    expect(await world.run()).toEqual({ dropped: 0 });
    expect(world.done.some((text) => text.includes(instanceId))).toBe(false);
    expect(await laterRun(world)).toEqual({ dropped: 1 });
    expect(world.done).toContainEqual(expect.stringContaining(`without odoo-${instanceId}-tidy`));
  }
});

test('a process that dies over one side takes the others first afterwards', async () => {
  await restored(1, -100);
  const { id } = await restored(2, -1);
  expect(await takeOldSides(database, 1)).toMatchObject([{ tries: 0 }]);
  expect(await takeOldSides(database, 1)).toMatchObject([{ id }]);
  expect(await takeOldSides(database, 1)).toEqual([]);
});

test('while an instance is being purged no Job mounts its volume, and its purge ends the record', async () => {
  const { id, instanceId } = await restored(1, -1);
  const kept = await restored(2, 10);
  await database.query(`update operations set state = 'succeeded', next_check_at = null, lease_holder = null,
    lease_until = null, finished_at = clock_timestamp()`);
  const purge = await holdOperation(database, instanceId, 'purge');
  const world = makeWorld();
  await world.run();
  expect(world.done).toEqual([]);
  await database.transaction((transaction) => markSidesPurged(transaction, instanceId));
  await endHeld(database, purge.id);
  await world.run();
  expect(world.done).toEqual([]);
  const { rows } = await database.query<{ id: string; dropped: boolean }>(
    'select id, dropped_at is not null as dropped from restores order by dropped_at nulls last',
  );
  expect(rows).toEqual([
    { id, dropped: true },
    { id: kept.id, dropped: false },
  ]);
});

test('of a purged instance only the record is left to end', async () => {
  const { id, instanceId } = await restored(1, -1);
  await database.query(
    `update instances set purged_at = now(), host = null, desired_state = 'terminated' where id = $1`,
    [instanceId],
  );
  const world = makeWorld();
  expect(await world.run()).toEqual({ dropped: 1 });
  expect(world.done).toEqual([`old_${instanceId}_${short(id)} on one`]);
});

test('what an undo has begun to take back stays, and what is being removed cannot be taken back', async () => {
  const [one, two] = [await restored(1, -1), await restored(2, -1)];
  const records = restoreRecords(database);
  const undo = await holdOperation(database, await insertPlacedInstance(database, 3));
  const begin = ({ id, instanceId }: typeof one) =>
    records.begin(undo, { instanceId, source: { undoes: id }, jobKey: 'k' });
  await begin(one);
  const world = makeWorld();
  await world.run();
  expect(world.done.map((text) => text.split(' ')[0])).toEqual([
    `old_${two.instanceId}_${short(two.id)}`,
    `odoo-${two.instanceId}-tidy-${short(two.id)}-1`,
  ]);
  await database.query(`update restores set state = 'failed', error_code = 'x', error_text = 'x' where id = $1`, [
    undo.id,
  ]);
  await expect(begin(two)).rejects.toMatchObject({ code: 'not-found' });
});
