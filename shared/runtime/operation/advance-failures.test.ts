import { describe, expect, test } from 'vitest';
import { maximumAttempts, maximumUnexplainedAttempts } from '#shared/domain/operation/decide.ts';
import { missing } from '#shared/domain/operation/step.ts';
import { failing, makeWorld } from './advance.fixture.ts';

describe('failures', () => {
  test('a transient one is tried again later, counting', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', failing('unavailable'));
    let passedMs = 0;
    for (const [attempt, afterMs] of [
      [2, 500],
      [3, 1_000],
      [4, 2_000],
    ] as const) {
      expect(await world.go(id)).toBe('waiting');
      const nextCheckAtMs = 1_000_000 + passedMs + afterMs;
      expect(world.records.row(id)).toMatchObject({ step: 'two', attempt, nextCheckAtMs });
      expect(await world.go(id)).toBe('backing-off');
      world.pass(afterMs);
      passedMs += afterMs;
    }
    expect(world.troubles).toEqual(Array(3).fill('two: unavailable: try-again'));
    world.acts.delete('two');
    expect(await world.go(id)).toBe('succeeded');
    expect(world.records.steps.filter(({ step }) => step === 'two').map(({ attempt }) => attempt)).toEqual([
      1, 2, 3, 4,
    ]);
  });

  test('the tries of a step end, those of the next one count from 1', async () => {
    const world = makeWorld();
    const id = world.add({ state: 'waiting', step: 'two', attempt: maximumAttempts });
    world.acts.set('three', failing('timeout'));
    expect(await world.go(id)).toBe('waiting');
    expect(world.records.row(id)).toMatchObject({ step: 'three', attempt: 2 });
    world.isUp.delete('two');
    world.acts.set('two', failing('timeout'));
    const other = world.add({ instanceId: 'bbbbbbbbbbbb', state: 'waiting', step: 'two', attempt: maximumAttempts });
    expect(await world.go(other)).toBe('failed');
    expect(world.records.row(other)).toMatchObject({ state: 'failed', step: 'two', errorCode: 'timeout' });
  });

  test('a permanent one stops the operation where it is', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', failing('foreign-object'));
    expect(await world.go(id)).toBe('failed');
    expect(world.records.row(id)).toMatchObject({ state: 'failed', step: 'two', errorCode: 'foreign-object' });
    expect(world.said.slice(-2)).toEqual(['act two', 'failed: It is foreign-object.']);
    expect(world.troubles).toEqual(['two: foreign-object: fail']);
  });

  test('a bug is tried a few times only', async () => {
    const world = makeWorld();
    const id = world.add();
    world.looks.set('one', async () => {
      throw new TypeError("Cannot read properties of undefined (reading 'id')");
    });
    for (let attempt = 1; attempt < maximumUnexplainedAttempts; attempt += 1) {
      expect(await world.go(id)).toBe('waiting');
      world.pass(60_000);
    }
    expect(await world.go(id)).toBe('failed');
    expect(world.records.row(id).errorCode).toBe('internal');
  });

  test('an act that leaves its effect missing is tried again, never at once', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('one', async () => missing);
    expect(await world.go(id)).toBe('waiting');
    expect(world.said).toEqual(['take over 1', 'look one', 'act one']);
    expect(world.troubles).toEqual(['one: internal: try-again']);
  });

  test('a passed deadline fails it at its next step, and says what it waited for', async () => {
    const world = makeWorld();
    const id = world.add({ state: 'waiting', step: 'two', waitingFor: 'Job init', deadline: new Date(999_999) });
    expect(await world.go(id)).toBe('failed');
    expect(world.records.row(id).errorCode).toBe('deadline-exceeded');
    expect(world.said).toEqual([
      "failed: Step two was not done before the operation's deadline. It last waited for Job init. Retry it, or cancel it.",
    ]);
  });

  test('what cannot be loaded is tried again a little later', async () => {
    const world = makeWorld();
    const id = world.add();
    world.work.load = failing('unavailable');
    expect(await world.go(id)).toBe('waiting');
    expect(world.troubles).toEqual(['load: unavailable: try-again']);
    expect(await world.go(id)).toBe('backing-off');
    world.pass(5_000);
    world.work.load = async (operation) => ({ operation });
    expect(await world.go(id)).toBe('succeeded');
  });
});
