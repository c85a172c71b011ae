import { afterAll, beforeAll, test } from 'vitest';
import { forget } from '#scripts/test/crash/end-state.ts';
import { crashCycle } from '#scripts/test/crash/life-cycle.ts';
import { newRunning, startLifeWorld } from '#scripts/test/crash/life-world.ts';
import { newInstanceId, type World } from '#scripts/test/crash/world.ts';
import { carryOut } from '#shared/testing/life.ts';

/** Each case runs a worker, an Odoo that neutralizes and one that serves. */
const concurrency = 2;

let world: World;
let source: string;
beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: 1 });
  source = await newRunning(world);
  // every case is a copy more
  await world.fleet.rows('update customers set quota = 1000');
  await carryOut(world.fleet, 'backup', source);
});
afterAll(() => world?.end());

/** In each case two processes are killed, one after the other, at points that are drawn from all that a clone passes. */
const choice = { pairs: 4, seed: 20 };

test('killed anywhere, twice, a copy ends as one that was not', { timeout: 900_000 }, async () => {
  const data = (instanceId: string) => ({ source, name: `i${instanceId}` });
  const prepare = async ({ fleet }: World, former: string) => {
    if (former !== source) await forget(fleet, former);
    return newInstanceId();
  };
  const kinds = [{ kind: 'clone' as const, data, prepare }];
  await crashCycle(world, { kinds, newInstance: async () => source, concurrency, choice });
});
