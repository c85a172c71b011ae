import { afterAll, beforeAll, test } from 'vitest';
import { pointsOfSteps, runUndisturbed } from '#scripts/test/crash/case.ts';
import { crashEverywhere, every } from '#scripts/test/crash/compare.ts';
import { startWorld, type World } from '#scripts/test/crash/world.ts';
import { until, untilWarm } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ warmTarget: 1 });
  await untilWarm(world.fleet);
  await keepOnlyTheTemplate();
});
afterAll(() => world?.end());

/** Without ready clones a provisioning clones the template itself. */
async function keepOnlyTheTemplate(): Promise<void> {
  const { fleet } = world;
  await fleet.rows('update images set warm_target = 0');
  await until('the ready clones to stay away', async () => {
    const text = String.raw`select datname::text as name from pg_database where datname ~ '^(warm|filling)_'`;
    const found = await queryAsSuperuser<{ name: string }>(fleet.servers.odoo, text);
    for (const { name } of found) {
      await queryAsSuperuser(fleet.servers.odoo, `drop database if exists "${name}" with (force)`);
    }
    return found.length === 0;
  });
}

const timeout = 600_000;

/** From the look for a database to the beginning of its personalising. */
const ofDatabase = [/SELECT pg_database/, /REASSIGN OWNED/] as const;

test('killed while it clones the template, a provisioning ends as the one that was not', { timeout }, async () => {
  const undisturbed = await runUndisturbed(world);
  const points = pointsOfSteps(undisturbed.points, ...ofDatabase).filter((_, index) => index % every === 0);
  await crashEverywhere(world, points, {
    title: 'kill -9 while cloning the template',
    recovery: ({ number }) => (Math.ceil(number / every) % 2 === 0 ? 'tick' : 'event'),
    expected: () => undisturbed,
    ofRun: undisturbed.points,
  });
});

test('killed around its initialisation Job, a provisioning ends as the one that was not', { timeout }, async () => {
  const data = { modules: ['contacts'] };
  const undisturbed = await runUndisturbed(world, data);
  const ofStep = pointsOfSteps(undisturbed.points, ...ofDatabase);
  // What is done for the Job alone is tried point by point; around it the step does what every step does.
  const from = ofStep.findIndex(({ name }) => name.includes('CREATE DATABASE'));
  const to = ofStep.findLastIndex(({ name }) => name.startsWith('POST secrets'));
  const points = ofStep.filter((_, index) => (index >= from && index <= to) || index % 5 === 0);
  await crashEverywhere(
    world,
    points.filter((_, index) => index % every === 0),
    {
      title: 'kill -9 around the initialisation Job',
      recovery: ({ number }) => (Math.ceil(number / every) % 2 === 0 ? 'tick' : 'event'),
      expected: () => undisturbed,
      ofRun: undisturbed.points,
      data,
    },
  );
});
