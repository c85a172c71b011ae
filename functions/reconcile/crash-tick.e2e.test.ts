import { afterAll, beforeAll, expect, test } from 'vitest';
import { differences, everyOfLife } from '#scripts/test/crash/compare.ts';
import { evenly } from '#scripts/test/crash/life-points.ts';
import { printLines } from '#scripts/test/crash/life-table.ts';
import { newRunning, startLifeWorld } from '#scripts/test/crash/life-world.ts';
import { runTick, type Subjects, startTicks } from '#scripts/test/crash/tick.ts';
import type { World } from '#scripts/test/crash/world.ts';

let world: World;
let ticks: ReturnType<typeof startTicks>;
let subjects: Subjects;
beforeAll(async () => {
  // Its own ticks would be at work beside the one that is killed.
  world = await startLifeWorld({ tickMs: 86_400_000, warmTarget: 2 }, (started) => {
    ticks = startTicks(started, 500);
    ticks.resume();
  });
  subjects = { drifting: await newRunning(world), waiting: await newRunning(world) };
});
afterAll(async () => {
  await ticks?.pause();
  await world?.end();
});

/** Points of the tick that are tried; all of them take a while, one after the other. */
const points = everyOfLife === 1 ? 1_000 : 10;

test('what a killed tick leaves the next ones do, once', { timeout: 3_600_000 }, async () => {
  const reference = await runTick(world, { subjects, ticks });
  expect(reference.state).toMatchObject({
    findings: [
      { kind: 'ingress-missing', repairs: 1, is_resolved: true },
      { kind: 'server-count-wrong', repairs: 0, is_resolved: true },
      { kind: 'service-missing', repairs: 1, is_resolved: true },
    ],
    corrected: { times: 1 },
    counts: [{ wrong: 0 }],
    event: [{ is_published: true }],
    dead: [],
    drifting: { operations: [{ kind: 'repair', state: 'succeeded' }], page: 200 },
    waiting: { operations: [{ kind: 'restart', state: 'succeeded' }], page: 200 },
  });
  const wrong: unknown[] = [];
  const lines: string[] = [];
  for (const point of evenly(reference.points, points)) {
    const { state, wasKilled, seconds } = await runTick(world, { subjects, ticks, point, expected: reference.state });
    const why = differences(state, reference.state);
    const what = `${point.number} ${point.name} (${point.occurrence})`;
    lines.push(
      `${what}: ${wasKilled ? 'killed' : 'not passed'}, ${seconds.toFixed(1)} s, ${why.join('; ') || 'as wanted'}`,
    );
    if (why.length > 0) wrong.push({ point: what, why });
  }
  printLines(`tick | ${reference.points.length} stop points | ${lines.length} cases`, lines);
  expect(wrong).toEqual([]);
});
