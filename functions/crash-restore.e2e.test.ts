import { afterAll, beforeAll, expect, test } from 'vitest';
import { allOver } from '#scripts/test/crash/case.ts';
import { everyOfLife } from '#scripts/test/crash/compare.ts';
import { forget } from '#scripts/test/crash/end-state.ts';
import type { LifeResult } from '#scripts/test/crash/life-case.ts';
import { expectAllWell } from '#scripts/test/crash/life-cycle.ts';
import { printCases } from '#scripts/test/crash/life-table.ts';
import { startLifeWorld } from '#scripts/test/crash/life-world.ts';
import { killedAt, newRestorable, pointsOf, type Restorable, sampled } from '#scripts/test/crash/restore-case.ts';
import type { World } from '#scripts/test/crash/world.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';

/** Each case runs two workers. */
const concurrency = 3;
/** Of each, unless CRASH_EVERY says more: all of those that change something outside are tried before a release. */
const cases = Math.ceil(300 / everyOfLife);

let world: World;
beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: concurrency });
});
afterAll(() => world?.end());

const timeout = 3_600_000;

test('killed anywhere, a restore and its undo leave one side live and whole', { timeout }, async () => {
  const instances = await allOver(Array.from({ length: concurrency }, () => newRestorable(world)));
  const [first] = instances;
  if (first === undefined) throw new Error('there is no instance');
  const restores = sampled(await pointsOf(world, first, 'restore'), cases);
  const undos = sampled(await pointsOf(world, first, 'undo'), cases);
  const count = restores.length;
  const results: LifeResult[] = [];
  const isWell = async (one: Restorable, what: 'restore' | 'undo', point: PassedPoint): Promise<boolean> => {
    const result = await killedAt(world, one, { what, point, recovery: recoveryAt(results) });
    results.push(result);
    return result.why.length === 0;
  };
  const goRound = async (one: Restorable): Promise<void> => {
    let current = one;
    for (let point = restores.shift(); point !== undefined; point = restores.shift()) {
      if ((await isWell(current, 'restore', point)) && (await isWell(current, 'undo', undos.shift() ?? point)))
        continue;
      await forget(world.fleet, current.id);
      current = await newRestorable(world);
    }
  };
  await allOver(instances.map(goRound)).finally(() => printCases('restore and undo', results));
  expect(count).toBeGreaterThan(3);
  expectAllWell(results);
});

/** Every second crash is left to the tick alone. */
function recoveryAt(results: readonly LifeResult[]): LifeResult['recovery'] {
  return results.length % 2 === 0 ? 'event' : 'tick';
}
