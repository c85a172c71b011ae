import { afterAll, beforeAll, test } from 'vitest';
import { runUndisturbed } from '#scripts/test/crash/case.ts';
import { concurrency, crashEverywhere, every } from '#scripts/test/crash/compare.ts';
import { startWorld, type World } from '#scripts/test/crash/world.ts';
import { untilWarm } from '#shared/testing/fleet.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ warmTarget: 2 * concurrency });
  await untilWarm(world.fleet);
});
afterAll(() => world?.end());

test('killed at any stop point, a provisioning ends as the one that was not', { timeout: 1_200_000 }, async () => {
  const undisturbed = await runUndisturbed(world);
  await crashEverywhere(
    world,
    undisturbed.points.filter(({ number }) => number % every === 0),
    {
      title: 'kill -9 during provision',
      // Every second crash is left to the tick alone.
      recovery: ({ number }) => (Math.ceil(number / every) % 2 === 0 ? 'tick' : 'event'),
      expected: () => undisturbed,
      ofRun: undisturbed.points,
    },
  );
});
