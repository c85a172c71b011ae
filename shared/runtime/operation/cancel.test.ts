import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { Lease } from '#shared/domain/operation/ports.ts';
import { done, waiting } from '#shared/domain/operation/step.ts';
import { failing, makeWorld } from './advance.fixture.ts';

describe('an end', () => {
  test('finds a cancel that came during the last step, and leaves it its way', async () => {
    const world = makeWorld();
    const id = world.add();
    world.work.succeed = async () => 'requested';
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said.at(-1)).toBe('cancelled');
  });

  test('of what somebody has used is no undoing', async () => {
    const world = makeWorld();
    const id = world.add({ step: 'two', cancelRequested: true });
    world.work.objectToCancel = async () => new Failure('not-allowed', 'Somebody has logged in.');
    expect(await world.go(id)).toBe('failed');
    expect(world.said.filter((word) => word.startsWith('undo'))).toEqual([]);
    expect(world.records.row(id).errorCode).toBe('not-allowed');
  });
});

describe('what must be gone before an operation ends otherwise than well', () => {
  const releasing = () => {
    const world = makeWorld();
    world.work.release = async (_context, why) => void world.said.push(`release: ${why.code}`);
    return world;
  };

  test('is released before the end is written', async () => {
    const world = releasing();
    const id = world.add();
    world.acts.set('two', failing('job-failed'));
    expect(await world.go(id)).toBe('failed');
    expect(world.said.slice(-2)).toEqual(['release: job-failed', 'failed: It is job-failed.']);
  });

  test('also of one that a later operation overtakes, which has nothing undone', async () => {
    const world = releasing();
    const id = world.add({ state: 'waiting', step: 'two', cancelRequested: true, overtakenBy: 'later' });
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said).toEqual(['release: superseded', 'cancelled']);
  });

  test('and of one that is cancelled', async () => {
    const world = releasing();
    const id = world.add({ state: 'waiting', step: 'two', cancelRequested: true });
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said.slice(-2)).toEqual(['release: cancelled', 'cancelled']);
  });

  test.each([
    ['fails', {}],
    ['gives way', { state: 'waiting', step: 'two', cancelRequested: true, overtakenBy: 'later' }],
  ] as const)('and as long as it cannot be, an operation that %s does not end', async (_name, given) => {
    const world = makeWorld();
    const id = world.add(given);
    world.acts.set('two', failing('job-failed'));
    world.work.release = failing('unavailable');
    expect(await world.go(id)).toBe('waiting');
    expect(world.records.row(id)).toMatchObject({ state: 'waiting', errorCode: null });
    expect(world.troubles.at(-1)).toBe('two: unavailable: try-again');
    world.work.release = async () => undefined;
    world.pass(1_000);
    expect(await world.go(id)).toBe('overtakenBy' in given ? 'cancelled' : 'failed');
  });

  test('is asked for an objection also where no step is noted: it may have been released before', async () => {
    const world = releasing();
    const id = world.add({ step: null, cancelRequested: true });
    world.work.objectToCancel = async () => new Failure('not-allowed', 'The sides have changed places.');
    expect(await world.go(id)).toBe('failed');
    expect(world.records.row(id).errorCode).toBe('not-allowed');
  });

  test('is not released for a cancel that is refused: the work goes on', async () => {
    const world = releasing();
    const id = world.add({ step: 'two', cancelRequested: true });
    world.work.objectToCancel = async () => new Failure('not-allowed', 'Somebody has logged in.');
    expect(await world.go(id)).toBe('failed');
    expect(world.said.join()).not.toContain('release');
  });
});

describe('cancelling', () => {
  test('undoes last step first', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('three', async () => waiting('a Job', { checkAfterMs: 5_000 }));
    await world.go(id);
    world.records.requestCancel(id);
    world.saidSince();
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said).toEqual(['take over 2', 'undo three', 'undo two', 'undo one', 'cancelled']);
    expect([...world.isUp]).toEqual([]);
    expect(world.records.row(id).state).toBe('cancelled');
  });

  test('is done at the next step when it comes while one works', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', async () => {
      world.records.requestCancel(id);
      return done;
    });
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said.slice(-5)).toEqual(['act two', 'undo three', 'undo two', 'undo one', 'cancelled']);
  });

  test('undoes the first step, too, when it comes while that one waits', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('one', async () => {
      world.records.requestCancel(id);
      return waiting('a Job', { checkAfterMs: 5_000 });
    });
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said).toContain('undo one');
  });

  test('an operation that never began has nothing to undo', async () => {
    const world = makeWorld();
    world.isUp.add('one');
    const id = world.add({ cancelRequested: true });
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said).toEqual(['cancelled']);
    expect([...world.isUp]).toEqual(['one']);
  });

  test('an undo that fails is told, and tried again until it is done', async () => {
    const world = makeWorld();
    const id = world.add({ state: 'waiting', step: 'three', cancelRequested: true });
    world.undos.set('two', failing('foreign-object'));
    for (const afterMs of [500, 1_000, 2_000]) {
      expect(await world.go(id)).toBe('waiting');
      const nextCheckAtMs = 1_000_000 + afterMs;
      expect(world.records.row(id)).toMatchObject({ state: 'waiting', step: 'two', errorCode: null, nextCheckAtMs });
    }
    expect(world.troubles).toEqual(Array(3).fill('two: foreign-object: try-again'));
    expect(world.said).not.toContain('undo one');
    world.undos.clear();
    expect(await world.go(id)).toBe('cancelled');
    expect(world.said.slice(-4)).toEqual(['undo three', 'undo two', 'undo one', 'cancelled']);
  });

  test('renews the lease for each undo, and stands back when it was taken over', async () => {
    const world = makeWorld({ leaseMs: 30_000 });
    const id = world.add({ state: 'waiting', step: 'three', cancelRequested: true });
    for (const name of ['one', 'two', 'three']) world.undos.set(name, async () => world.pass(20_000));
    expect(await world.go(id)).toBe('cancelled');
    const other = world.add({ instanceId: 'bbbbbbbbbbbb', state: 'waiting', step: 'three', cancelRequested: true });
    const outcomes: string[] = [];
    world.undos.set('three', async () => {
      world.undos.clear();
      world.records.expireLease(other);
      outcomes.push(await world.go(other));
    });
    expect(await world.go(other)).toBe('fenced');
    expect(outcomes).toEqual(['cancelled']);
    expect(world.saidSince().filter((line) => line === 'cancelled')).toHaveLength(2);
  });

  test('comes before a passed deadline', async () => {
    const world = makeWorld();
    const id = world.add({ state: 'waiting', step: 'two', cancelRequested: true, deadline: new Date(0) });
    expect(await world.go(id)).toBe('cancelled');
  });
});

describe('a process that was overtaken in an act', () => {
  /** Another one takes the lease over while step two acts, and ends the operation. */
  const overtakenBy = (end: (world: ReturnType<typeof makeWorld>, lease: Lease) => void) => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', async () => {
      world.records.expireLease(id);
      const how = { kind: 'provision', knownVersions: [1], holder: 'another', leaseMs: 30_000 };
      const taken = await world.records.take(id, how);
      if (!taken.taken) throw new Error(taken.because);
      end(world, { operationId: id, fence: taken.operation.fence });
      return undefined;
    });
    return { world, went: world.go(id) };
  };

  test('leaves what it made to the newer holder', async () => {
    const { world, went } = overtakenBy(({ records }, lease) => records.end(lease, 'succeeded'));
    expect(await went).toBe('fenced');
    expect(world.said.filter((line) => line.startsWith('undo'))).toEqual([]);
  });

  test('takes it back when the operation was cancelled meanwhile', async () => {
    const { world, went } = overtakenBy(({ records }, lease) => {
      records.requestCancel(lease.operationId);
      records.end(lease, 'cancelled');
    });
    expect(await went).toBe('fenced');
    expect(world.said.filter((line) => line.startsWith('undo'))).toEqual(['undo two']);
  });
});

test('nothing runs after the promise settled', async () => {
  const world = makeWorld();
  const id = world.add();
  world.acts.set('two', async () => waiting('a Job', { checkAfterMs: 1 }));
  await world.go(id);
  const said = [...world.said];
  const row = structuredClone(world.records.row(id));
  // every microtask and timer that is due
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(world.said).toEqual(said);
  expect(world.records.row(id)).toEqual(row);
});
