import { expect, test } from 'vitest';
import { planStorm, withBackups } from './plan.ts';

const size = { seed: 7, instances: 40, commands: 800, seconds: 60 };

test('a seed gives one plan, and another seed another', () => {
  expect(planStorm(size)).toEqual(planStorm(size));
  expect(planStorm({ ...size, seed: 8 }).events).not.toEqual(planStorm(size).events);
});

test('ids are its own, and billing counts each subscription up', () => {
  const { events, instances, latecomers } = planStorm(size);
  expect(new Set(events.map(({ id }) => id)).size).toBe(size.commands);
  expect(new Set([...instances, ...latecomers].map(({ id }) => id)).size).toBe(instances.length + latecomers.length);
  const seen = new Map<unknown, number>();
  for (const { news, data } of events) {
    if (news === undefined) continue;
    const { subscription, sequence } = data as { subscription: string; sequence: number };
    expect(sequence).toBe((seen.get(subscription) ?? 0) + 1);
    seen.set(subscription, sequence);
  }
  expect(seen.size).toBeGreaterThan(30);
});

test('a restore names the backup that its instance had before the storm', () => {
  const plan = planStorm(size);
  const backups = new Map(plan.prepared.map(({ instance }) => [instance, `backup of ${instance}`]));
  const restores = withBackups(plan, backups).events.filter(({ type }) => type.includes('.restore.'));
  expect(restores.length).toBeGreaterThan(5);
  for (const { data, instance } of restores) expect(data['backup']).toBe(`backup of ${instance}`);
  expect(withBackups(plan, backups).events).toHaveLength(plan.events.length);
});

test('every kind of command and every mishap has its turn', () => {
  const { events, mishaps } = planStorm(size);
  const types = new Set(events.map(({ type }) => type));
  for (const verb of ['start', 'stop', 'restart', 'suspend', 'resume', 'terminate', 'undo', 'purge', 'provision']) {
    expect(types).toContain(`dev.odoofleet.instance.${verb}.requested`);
  }
  expect(new Set(mishaps.map(({ what }) => what)).size).toBe(7);
  expect(mishaps.every(({ atMs }) => atMs < size.seconds * 1_000)).toBe(true);
});
