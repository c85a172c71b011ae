import { afterAll, beforeAll, expect, test } from 'vitest';
import { everyOfLife } from '#scripts/test/crash/compare.ts';
import { crashCycle } from '#scripts/test/crash/life-cycle.ts';
import { newRunning, newTerminated, startLifeWorld } from '#scripts/test/crash/life-world.ts';
import type { World } from '#scripts/test/crash/world.ts';
import { until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';

/** Each case runs a worker, which takes two processors for a second or two. */
const concurrency = 3;

let world: World;
beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: concurrency, hasVerificationServer: true });
  const reached = `select 1 from db_servers where purpose = 'verification' and reached_at is not null`;
  await until('the server for verifications to be reached', async () => (await world.fleet.rows(reached)).length > 0);
});
afterAll(() => world?.end());

const timeout = 3_600_000;
const choice = { every: everyOfLife };

async function expectNothingRestored(): Promise<void> {
  const { verification } = world.fleet.servers;
  if (verification === undefined) throw new Error('there is no server for verifications');
  const left = `select datname from pg_database where datname ~ '^(verify|making|trash)' union all
    select rolname from pg_roles where rolname like 'verify%'`;
  const names = () => queryAsSuperuser(verification, left);
  await until('nothing to be left of verifications', async () => (await names()).length === 0).catch(() => undefined);
  expect(await names()).toEqual([]);
}

test('killed anywhere, a backup and its verification end as those that were not', { timeout }, async () => {
  const newInstance = () => newRunning(world);
  const kinds = [{ kind: 'backup' }, { kind: 'verify', data: { boot: true } }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
  await expectNothingRestored();
});

test('so does the final backup of what is terminated', { timeout }, async () => {
  const newInstance = () => newTerminated(world);
  const kinds = [{ kind: 'backup', data: { kind: 'final' } }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});
