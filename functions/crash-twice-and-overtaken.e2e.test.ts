import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestFor } from '#scripts/test/crash/case.ts';
import { concurrency, everyOfLife, takeLeftovers } from '#scripts/test/crash/compare.ts';
import { lifeRequestFor } from '#scripts/test/crash/life-case.ts';
import { crashCycle, expectAllWell } from '#scripts/test/crash/life-cycle.ts';
import { crashOvertaken, type Overtaking } from '#scripts/test/crash/life-overtaken.ts';
import { printCases } from '#scripts/test/crash/life-table.ts';
import { newRunning, startLifeWorld } from '#scripts/test/crash/life-world.ts';
import { newInstanceId, type World } from '#scripts/test/crash/world.ts';
import { carryOut } from '#shared/testing/life.ts';

/** Pairs of points per kind, drawn with this seed. */
const pairs = 10;
const seed = Number(process.env['CRASH_SEED'] ?? 1);
/** Points of each of the two operations that meet. */
const pointsPerSide = everyOfLife === 1 ? 24 : 5;

let world: World;
beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: concurrency });
});
afterAll(() => world?.end());

const timeout = 1_800_000;

test('killed twice, a termination and its undoing end as those that were not', { timeout }, async () => {
  const kinds = [{ kind: 'terminate' }, { kind: 'undo' }] as const;
  const newInstance = () => newRunning(world);
  await crashCycle(world, { kinds, newInstance, concurrency, choice: { pairs, seed } });
});

async function crashBoth(title: string, scenario: Overtaking): Promise<void> {
  const results = await crashOvertaken(world, scenario, { concurrency, points: pointsPerSide });
  printCases(title, results);
  const left = await takeLeftovers(world);
  expectAllWell(results);
  expect(left).toEqual([]);
}

test('a start that a suspension overtakes runs no more, whichever of the two is killed', { timeout }, async () => {
  await crashBoth('suspend over start', {
    overtaken: { functionName: 'start', request: (id) => lifeRequestFor({ kind: 'start' }, id) },
    standsAt: { name: 'PATCH deployments answered', occurrence: 1 },
    overtaking: { kind: 'suspend', data: { cause: 'billing' } },
    async newInstance() {
      const instanceId = await newRunning(world);
      await carryOut(world.fleet, 'stop', instanceId);
      return instanceId;
    },
  });
});

test('a provisioning that a termination overtakes in its Job leaves a tombstone', { timeout }, async () => {
  await crashBoth('terminate over provision', {
    overtaken: { functionName: 'provision', request: (id) => requestFor(id, { modules: ['contacts'] }) },
    standsAt: { name: 'POST jobs answered', occurrence: 1 },
    overtaking: { kind: 'terminate' },
    newInstance: async () => newInstanceId(),
  });
});

test('an undoing that a termination overtakes leaves the tombstone that was', { timeout }, async () => {
  await crashBoth('terminate over undo', {
    overtaken: { functionName: 'undo', request: (id) => lifeRequestFor({ kind: 'undo' }, id) },
    standsAt: { name: 'POST deployments answered', occurrence: 1 },
    overtaking: { kind: 'terminate' },
    async newInstance() {
      const instanceId = await newRunning(world);
      await carryOut(world.fleet, 'terminate', instanceId);
      return instanceId;
    },
  });
});
