import { expect, it } from 'vitest';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import {
  buildNextRelease,
  type NextRelease,
  nextMigration,
  nextStep,
  rollOut,
  sendTrafficTo,
  servingRevision,
  untilGone,
} from './release.fixture.ts';
import {
  holdWithPods,
  makeRemnants,
  notToldOnce,
  release,
  retry,
  statusesOf,
  terminate,
  terminationsOf,
  untilHeld,
  untilTerminated,
} from './remnant.fixture.ts';

/** A hundred operations, and a new release of their function that comes and goes meanwhile. */
export function rolloutTests(fleet: () => FleetUnderTest): void {
  let ids: string[] = [];
  let releases: { before: { image: string; revision: string }; next: NextRelease; revision: string };
  const part = (first: number, last: number) => ids.slice(first, last);
  // Some are in the middle whenever a release goes: they wait for pods that a test takes away.
  const heldByOld = () => part(0, 10);
  const heldByNext = () => part(60, 70);

  it('rolls out new steps and a new column while operations run', async () => {
    ids = await makeRemnants(fleet(), 'rollout', 100);
    const next = await buildNextRelease(fleet());
    const before = {
      image: fleet().images.get('terminate') ?? '',
      revision: await servingRevision(fleet(), 'terminate'),
    };
    await holdWithPods(fleet(), [...heldByOld(), ...heldByNext()]);
    await terminate(fleet(), part(0, 30));
    await untilHeld(fleet(), heldByOld());
    const rollOutMeanwhile = async () => {
      expect(await fleet().migrate(next.migrate)).toMatchObject({ applied: [nextMigration] });
      return await rollOut(fleet(), 'terminate', next.terminate);
    };
    const [revision] = await Promise.all([rollOutMeanwhile(), terminate(fleet(), part(30, 60), { everyMs: 300 })]);
    expect(revision).not.toBe(before.revision);
    releases = { before, next, revision };
    await untilTerminated(fleet(), part(10, 60));
  }, 300_000);

  it('carries on by their own steps what the release before has begun', async () => {
    await untilGone(fleet(), releases.before.revision);
    await release(fleet(), heldByOld());
    await untilTerminated(fleet(), heldByOld());
    const done = await doneOf(fleet(), heldByOld());
    expect(done).toEqual(heldByOld().map(() => ({ version: 1, note: 'next', has_next_step: false })));
  }, 300_000);

  it('rolls back while operations run, and leaves alone what only the newer release can carry on', async () => {
    await terminate(fleet(), part(60, 80));
    await untilHeld(fleet(), heldByNext());
    await untilTerminated(fleet(), part(70, 80));
    expect(new Set(await doneOf(fleet(), part(70, 80)))).toEqual(
      new Set(part(70, 80).map(() => ({ version: 2, note: 'next', has_next_step: true }))),
    );
    const rollBackMeanwhile = async () => {
      await sendTrafficTo(fleet(), 'terminate', releases.before.revision);
      // The older migrations have nothing to say about the newer one.
      expect(await fleet().migrate()).toMatchObject({ applied: [] });
    };
    await Promise.all([rollBackMeanwhile(), terminate(fleet(), part(80, 100), { everyMs: 300 })]);
    await untilLeftDue(fleet(), heldByNext());
    await release(fleet(), heldByNext());
    const left = await terminationsOf(fleet(), heldByNext());
    expect(left.map(({ state, step, definition_version }) => ({ state, step, definition_version }))).toEqual(
      heldByNext().map(() => ({ state: 'waiting', step: 'gone', definition_version: 2 })),
    );
  }, 300_000);

  it('begins such an operation anew when a person retries it', async () => {
    const retried = heldByNext().slice(0, 5);
    for (const operation of await terminationsOf(fleet(), retried)) await retry(fleet(), operation);
    await untilTerminated(fleet(), retried);
    for (const { version } of await doneOf(fleet(), retried)) expect(version).toBe(1);
  }, 200_000);

  it('carries the others on when the newer release is back', async () => {
    await sendTrafficTo(fleet(), 'terminate');
    expect(await servingRevision(fleet(), 'terminate')).toBe(releases.revision);
    const others = heldByNext().slice(5);
    await untilTerminated(fleet(), others);
    expect(await doneOf(fleet(), others)).toEqual(
      others.map(() => ({ version: 2, note: 'next', has_next_step: true })),
    );
    await untilTerminated(fleet(), ids);
    await rollOut(fleet(), 'terminate', releases.before.image);
  }, 300_000);

  it('has lost none of the hundred operations, and done none twice', async () => {
    const operations = await terminationsOf(fleet(), ids);
    expect(operations).toHaveLength(ids.length);
    expect(new Set(operations.map(({ instance_id }) => instance_id)).size).toBe(ids.length);
    expect(operations.filter(({ state }) => state !== 'succeeded')).toEqual([]);
    expect(await statusesOf(fleet(), ids)).toEqual(['terminated']);
    expect(await notToldOnce(fleet(), ids)).toEqual([]);
  });
}

type Done = { version: number; note: string | null; has_next_step: boolean };

/** By which release and which steps the operations of instances were done. */
function doneOf(fleet: FleetUnderTest, ids: readonly string[]): Promise<Done[]> {
  return fleet.rows<Done>(
    `select definition_version as version, release_note as note,
       exists (select 1 from operation_steps s where s.operation_id = o.id and s.step = $2) as has_next_step
     from operations o where instance_id = any($1)`,
    [ids, nextStep],
  );
}

/** Waits until nobody has taken the operations although a tick has told of them, which comes every ten seconds. */
async function untilLeftDue(fleet: FleetUnderTest, ids: readonly string[]): Promise<void> {
  const areLeft = async () => {
    const left = await fleet.rows(
      `select id from operations where instance_id = any($1) and state = 'waiting' and told_at > next_check_at
         and next_check_at < clock_timestamp() - interval '15 seconds'`,
      [ids],
    );
    return left.length === ids.length;
  };
  await until(`${ids.length} operations to be left due`, areLeft, { limitMs: 120_000 });
}
