import { describe, expect, test } from 'vitest';
import { done, type Look, missing, waiting } from '#shared/domain/operation/step.ts';
import { failing, makeWorld } from './advance.fixture.ts';

describe('steps', () => {
  test('run in order, each looked at before it acts', async () => {
    const world = makeWorld();
    const id = world.add();
    expect(await world.go(id)).toBe('succeeded');
    expect(world.said).toEqual([
      'take over 1',
      ...['look one', 'act one', 'look two', 'act two', 'look three', 'act three'],
      'succeeded',
    ]);
    expect(world.records.steps).toEqual([
      { step: 'one', attempt: 1, fence: 1, outcome: 'done' },
      { step: 'two', attempt: 1, fence: 1, outcome: 'done' },
      // the end of the operation closes it
      { step: 'three', attempt: 1, fence: 1, outcome: null },
    ]);
  });

  test('whose operation ends are told of with its age, and not before', async () => {
    const world = makeWorld();
    const id = world.add();
    world.looks.set('two', async () => waiting('a Job', { checkAfterMs: 5_000 }));
    await world.go(id);
    expect(world.ends).toEqual([]);
    world.looks.set('two', async () => {
      world.pass(700);
      return done;
    });
    await world.go(id);
    expect(world.ends).toEqual([{ outcome: 'succeeded', ageMs: 700 }]);
  });

  test('whose effect is there already do not act', async () => {
    const world = makeWorld();
    world.isUp.add('one').add('two');
    expect(await world.go(world.add())).toBe('succeeded');
    expect(world.said.filter((line) => line.startsWith('act'))).toEqual(['act three']);
  });

  test('go on at the step that was noted', async () => {
    const world = makeWorld();
    expect(await world.go(world.add({ state: 'waiting', step: 'two', fence: 4 }))).toBe('succeeded');
    expect(world.said).toEqual(['take over 5', 'look two', 'act two', 'look three', 'act three', 'succeeded']);
  });

  test('begin anew when there is no step of the noted name any more', async () => {
    const world = makeWorld();
    expect(await world.go(world.add({ state: 'waiting', step: 'of-before' }))).toBe('succeeded');
    expect(world.said[1]).toBe('look one');
  });

  test('the fence goes to the other stores once per lease, before the first look', async () => {
    const world = makeWorld();
    const id = world.add();
    let looked = 0;
    world.looks.set('one', async () => {
      looked += 1;
      // somebody asks while the lease is held
      if (looked === 1) await world.go(id);
      return looked < 3 ? waiting('a Job', { checkAfterMs: 5_000 }) : done;
    });
    expect(await world.go(id)).toBe('waiting');
    expect(world.saidSince()).toEqual(['take over 1', 'look one', 'look one']);
    expect(await world.go(id)).toBe('succeeded');
    expect(world.saidSince().slice(0, 2)).toEqual(['take over 2', 'look one']);
  });

  test('a takeover that fails is a failed try of the step, and nothing was looked at', async () => {
    const world = makeWorld();
    const id = world.add();
    world.work.takeOver = failing('unavailable');
    expect(await world.go(id)).toBe('waiting');
    expect(world.said).toEqual([]);
    expect(world.records.row(id)).toMatchObject({ state: 'waiting', step: 'one', attempt: 2 });
  });
});

describe('waiting', () => {
  test('gives the lease back, and an event goes on with it', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', async () => waiting('Job init', { checkAfterMs: 5_000 }));
    expect(await world.go(id)).toBe('waiting');
    expect(world.records.row(id)).toMatchObject({
      state: 'waiting',
      step: 'two',
      leaseHolder: null,
      waitingFor: 'Job init',
      nextCheckAtMs: 1_005_000,
    });
    world.isUp.add('two');
    expect(await world.go(id)).toBe('succeeded');
    expect(world.said.filter((line) => line.includes('one'))).toEqual(['look one', 'act one']);
  });

  test('a call while somebody works is left to him, and he looks once more', async () => {
    const world = makeWorld();
    const id = world.add();
    let looks = 0;
    const answers: string[] = [];
    world.looks.set('two', async () => {
      looks += 1;
      if (looks === 1) answers.push(await world.go(id), await world.go(id));
      return looks === 1 ? waiting('a Job', { checkAfterMs: 5_000 }) : done;
    });
    expect(await world.go(id)).toBe('succeeded');
    expect(answers).toEqual(['held', 'held']);
    expect(looks).toBe(2);
  });

  test.each([
    ['succeeded', 'finished'],
    ['cancelled', 'finished'],
    ['failed', 'finished'],
  ] as const)('there is nothing to do for one that has %s', async (state, outcome) => {
    const world = makeWorld();
    expect(await world.go(world.add({ state }))).toBe(outcome);
    expect(world.said).toEqual([]);
  });

  test('another version, an unknown one and one behind another are left alone', async () => {
    const world = makeWorld();
    expect(await world.go(world.add({ definitionVersion: 2 }))).toBe('other-version');
    expect(await world.go(world.add({ instanceId: 'bbbbbbbbbbbb', state: 'waiting', step: 'one' }))).toBe('succeeded');
    world.saidSince();
    const first = world.add({ instanceId: 'cccccccccccc' });
    expect(await world.go(world.add({ instanceId: 'cccccccccccc' }))).toBe('queued');
    expect(world.said).toEqual([]);
    expect(world.records.row(first)).toMatchObject({ state: 'queued', fence: 0 });
  });

  test('each of two known versions is carried on by its own steps', async () => {
    const world = makeWorld();
    const [one, , three] = world.work.definition.steps;
    if (one === undefined || three === undefined) throw new Error('the world has three steps');
    world.work.definition = { ...world.work.definition, version: 2, others: [{ version: 1, steps: [one, three] }] };
    expect(await world.go(world.add({ definitionVersion: 1, state: 'waiting', step: 'three' }))).toBe('succeeded');
    expect(world.saidSince()).toEqual(['take over 1', 'look three', 'act three', 'succeeded']);
    expect(await world.go(world.add({ definitionVersion: 2, step: 'two' }))).toBe('succeeded');
    expect(world.saidSince()).toContain('act two');
    const cancelled = { definitionVersion: 1, step: 'three', cancelRequested: true, instanceId: 'bbbbbbbbbbbb' };
    expect(await world.go(world.add(cancelled))).toBe('cancelled');
    expect(world.saidSince()).toEqual(['take over 1', 'undo three', 'undo one', 'cancelled']);
    expect(await world.go(world.add({ definitionVersion: 3 }))).toBe('other-version');
  });
});

describe('a step that takes its time', () => {
  test('keeps its lease while it runs', async () => {
    const world = makeWorld({ leaseMs: 30 });
    const id = world.add();
    world.acts.set('two', async () => {
      const renewed = world.records.row(id).leaseUntilMs ?? 0;
      world.pass(20);
      await expect.poll(() => world.records.row(id).leaseUntilMs, { timeout: 15_000 }).toBeGreaterThan(renewed);
      return undefined;
    });
    expect(await world.go(id)).toBe('succeeded');
  });

  test('that is about to be done is waited for in the same request', async () => {
    const world = makeWorld();
    const id = world.add();
    let looks = 0;
    world.looks.set('three', async () => {
      looks += 1;
      return looks < 3 ? waiting('the page', { checkAfterMs: 1_000 }) : { found: 'done' };
    });
    expect(await world.go(id)).toBe('succeeded');
    world.looks.set('three', async () => waiting('the page', { checkAfterMs: 1_000 }));
    expect(await world.go(world.add({ instanceId: 'bbbbbbbbbbbb' }))).toBe('waiting');
  });
});

describe('a lease that was taken over', () => {
  test.each(['look', 'act'] as const)(
    'during a %s: the old holder stands back and writes nothing more',
    async (phase) => {
      const world = makeWorld();
      const id = world.add();
      const outcomes: string[] = [];
      const takenOver = async (): Promise<Look> => {
        world.looks.clear();
        world.acts.clear();
        world.records.expireLease(id);
        // another process goes on and finishes
        outcomes.push(await world.go(id));
        return phase === 'look' ? missing : done;
      };
      (phase === 'look' ? world.looks : world.acts).set('two', takenOver);
      world.isUp.add('two');
      if (phase === 'act') world.looks.set('two', async () => missing);
      const before = () => structuredClone([world.records.row(id), world.records.steps]);
      expect(await world.go(id)).toBe('fenced');
      expect(outcomes).toEqual(['succeeded']);
      expect(world.records.row(id)).toMatchObject({ state: 'succeeded', fence: 2 });
      const after = before();
      expect(await world.go(id)).toBe('finished');
      expect(before()).toEqual(after);
    },
  );

  test('a store that refuses the fence ends it silently', async () => {
    const world = makeWorld();
    const id = world.add();
    world.acts.set('two', failing('fenced'));
    expect(await world.go(id)).toBe('fenced');
    expect(world.troubles).toEqual([]);
    expect(world.records.row(id)).toMatchObject({ state: 'running', step: 'two', errorCode: null });
  });
});

describe('the time of one request', () => {
  test('ends between two steps: the next request goes on with the next step', async () => {
    const world = makeWorld({ budgetMs: 25_000 });
    const id = world.add();
    world.acts.set('one', async () => {
      world.pass(25_001);
      // an event while it works: nobody may take that for a reason to keep the lease
      await world.go(id);
      return done;
    });
    world.isUp.delete('one');
    expect(await world.go(id)).toBe('continues');
    expect(world.records.row(id)).toMatchObject({ state: 'waiting', leaseHolder: null, nextCheckAtMs: 1_025_001 });
    expect(world.records.steps).toEqual([{ step: 'one', attempt: 1, fence: 1, outcome: 'done' }]);
    world.isUp.add('one');
    world.saidSince();
    expect(await world.go(id)).toBe('succeeded');
    expect(world.saidSince().filter((line) => line.startsWith('act'))).toEqual(['act two', 'act three']);
  });

  test('does not go on for ever in a step that is woken again and again', async () => {
    const world = makeWorld();
    const id = world.add();
    let looks = 0;
    world.looks.set('one', async () => {
      looks += 1;
      world.pass(10_000);
      await world.go(id);
      return waiting('a Job', { checkAfterMs: 5_000 });
    });
    expect(await world.go(id)).toBe('continues');
    expect(looks).toBe(3);
    expect(world.records.row(id)).toMatchObject({ state: 'waiting', leaseHolder: null });
  });

  test('an operation whose last step is done ends, however long it took', async () => {
    const world = makeWorld();
    world.acts.set('three', async () => {
      world.pass(26_000);
      return done;
    });
    expect(await world.go(world.add())).toBe('succeeded');
  });
});
