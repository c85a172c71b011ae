import { afterAll, beforeAll, test } from 'vitest';
import { concurrency, everyOfLife } from '#scripts/test/crash/compare.ts';
import { crashCycle } from '#scripts/test/crash/life-cycle.ts';
import {
  breakByHand,
  newRunning,
  newTerminated,
  planWithCronPods,
  startLifeWorld,
} from '#scripts/test/crash/life-world.ts';
import type { World } from '#scripts/test/crash/world.ts';

let world: World;
beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: concurrency });
});
afterAll(() => world?.end());

const timeout = 3_600_000;
const choice = { every: everyOfLife };

test('killed anywhere, a stop and a start end as those that were not', { timeout }, async () => {
  const newInstance = () => newRunning(world);
  const kinds = [{ kind: 'stop' }, { kind: 'start' }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});

test('so do those of an instance with cron pods of its own, killed around its writes', { timeout }, async () => {
  const newInstance = () => newRunning(world, { plan: planWithCronPods });
  const kinds = [{ kind: 'stop' }, { kind: 'start' }] as const;
  const onlyWrites = { every: Number.MAX_SAFE_INTEGER };
  await crashCycle(world, { kinds, newInstance, concurrency: 3, choice: onlyWrites });
});

test('killed anywhere, a suspension and its end do so, too', { timeout }, async () => {
  const newInstance = () => newRunning(world);
  const data = { cause: 'billing' };
  const kinds = [
    { kind: 'suspend', data },
    { kind: 'resume', data },
  ] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});

test('so do a restart and a repair', { timeout }, async () => {
  const newInstance = () => newRunning(world);
  const kinds = [{ kind: 'restart' }, { kind: 'repair', prepare: breakByHand }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});

test('so do a termination and its undoing', { timeout }, async () => {
  const newInstance = () => newRunning(world);
  const kinds = [{ kind: 'terminate' }, { kind: 'undo' }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});

test('so does a purge', { timeout }, async () => {
  const newInstance = () => newTerminated(world);
  const kinds = [{ kind: 'purge', data: { withoutbackup: true }, prepare: () => newTerminated(world) }] as const;
  await crashCycle(world, { kinds, newInstance, concurrency, choice });
});
