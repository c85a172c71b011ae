import { expect, test } from 'vitest';
import { briefMemory } from './brief-memory.ts';

function memoryOf(options: { maxEntries?: number } = {}) {
  const world = { nowMs: 0, reads: [] as string[], fail: false };
  const read = async (key: string) => {
    world.reads.push(key);
    if (world.fail) throw new Error('refused');
    return `${key}${world.reads.length}`;
  };
  const memory = briefMemory(read, { keptMs: 100, maxEntries: 10, nowMs: () => world.nowMs, ...options });
  return { memory, world };
}

test('those who ask at the same time share one reading', async () => {
  const { memory, world } = memoryOf();
  const all = [memory.get('a'), memory.get('a'), memory.get('b'), memory.get('a')];
  expect(await Promise.all(all.map(({ value }) => value))).toEqual(['a1', 'a1', 'b2', 'a1']);
  expect(all.map(({ isRemembered }) => isRemembered)).toEqual([false, true, false, true]);
  expect(world.reads).toEqual(['a', 'b']);
});

test('a value is read again when its time is over, and not before', async () => {
  const { memory, world } = memoryOf();
  await memory.get('a').value;
  world.nowMs = 99;
  expect(await memory.get('a').value).toBe('a1');
  world.nowMs = 100;
  expect(await memory.get('a').value).toBe('a2');
});

test('a refreshed value is what others get from then on', async () => {
  const { memory } = memoryOf();
  await memory.get('a').value;
  const refreshed = memory.refresh('a');
  expect(await memory.get('a').value).toBe('a2');
  expect(await refreshed).toBe('a2');
});

test('a failure is told to all who wait and to nobody after', async () => {
  const { memory, world } = memoryOf();
  world.fail = true;
  const waiting = [memory.get('a').value, memory.get('a').value];
  for (const one of waiting) await expect(one).rejects.toThrow('refused');
  world.fail = false;
  expect(await memory.get('a').value).toBe('a2');
});

test('a failed refresh does not bring the old value back', async () => {
  const { memory, world } = memoryOf();
  await memory.get('a').value;
  world.fail = true;
  await expect(memory.refresh('a')).rejects.toThrow('refused');
  await expect(memory.get('a').value).rejects.toThrow('refused');
});

test('keys beyond the limit push the longest unread one out', async () => {
  const { memory, world } = memoryOf({ maxEntries: 2 });
  for (const key of ['a', 'b', 'c', 'b', 'c', 'a']) await memory.get(key).value;
  expect(world.reads).toEqual(['a', 'b', 'c', 'a']);
});
