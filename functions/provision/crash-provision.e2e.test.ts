import { afterAll, beforeAll, expect, test } from 'vitest';
import { inParallel, runCaseUntilKilled, runUndisturbed } from '#scripts/test/crash/case.ts';
import { fleetProblems, forget } from '#scripts/test/crash/end-state.ts';
import { printTable } from '#scripts/test/crash/table.ts';
import { startWorld, type World } from '#scripts/test/crash/world.ts';
import { until, untilWarm } from '#shared/testing/fleet.ts';

/** 1 tries every stop point; k every k-th, for a quick run. */
const every = Number(process.env['CRASH_EVERY'] ?? 1);
const concurrency = Number(process.env['CRASH_CONCURRENCY'] ?? 8);

let world: World;
beforeAll(async () => {
  world = await startWorld({ warmTarget: 2 * concurrency });
  await untilWarm(world.fleet);
});
afterAll(() => world?.end());

test('killed at any stop point, a provisioning ends as the one that was not', { timeout: 900_000 }, async () => {
  const undisturbed = await runUndisturbed(world);
  const points = undisturbed.points.filter(({ number }) => number % every === 0);
  const differing: unknown[] = [];
  const results = await inParallel(points, concurrency, async (point) => {
    // Every second crash is left to the tick alone.
    const recovery = point.number % 2 === 0 ? 'tick' : 'event';
    const result = await runCaseUntilKilled(world, point, { recovery });
    const { endState, logins, wasKilled } = result;
    try {
      expect(endState, `after ${point.name}`).toEqual(undisturbed.endState);
      expect({ logins, wasKilled }, `after ${point.name}`).toEqual({
        logins: { right: true, standard: false },
        wasKilled: true,
      });
      await forget(world.fleet, result.instanceId);
    } catch (error) {
      differing.push({ point, instanceId: result.instanceId, why: (error as Error).message });
    }
    return result;
  });
  printTable('kill -9 during provision', results);
  expect(differing).toEqual([]);
  // What a crash left half-made on the Odoo server is the tick's to sweep.
  await until('leftovers to be swept', async () => (await fleetProblems(world.fleet)).length === 0, {
    timeoutMs: 20_000,
  }).catch(() => undefined);
  expect(await fleetProblems(world.fleet)).toEqual([]);
});
