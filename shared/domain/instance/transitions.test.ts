import { describe, expect, test } from 'vitest';
import { type InstanceStatus, instanceStatuses } from './instance.ts';
import { guards, type InstanceFacts, statusAfter, transitions } from './transitions.ts';

const events = [...new Set(transitions.map(({ event }) => event))];
const observations = events.filter((event) => event.startsWith('observed-'));

/** Every combination of facts that a guard can tell apart. */
const allFacts: readonly InstanceFacts[] = (['running', 'stopped', 'terminated'] as const).flatMap((desiredState) =>
  [[], ['billing' as const], ['billing' as const, 'abuse' as const]].flatMap((suspensions) =>
    [0, 1, 2].map((observedGeneration) => ({ desiredState, suspensions, generation: 2, observedGeneration })),
  ),
);

describe('the transition table', () => {
  test('says one thing for each status, event and row of facts', () => {
    for (const facts of allFacts) {
      const holding = transitions.filter(({ guard }) => guard === undefined || guards[guard](facts));
      const keys = holding.map(({ from, event }) => `${from} ${event}`);
      expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
    }
  });

  test('knows only statuses that the records know, and every row changes something', () => {
    for (const { from, to } of transitions) {
      expect(instanceStatuses).toContain(from);
      expect(instanceStatuses).toContain(to);
      expect(from).not.toBe(to);
    }
  });

  test('what it does not say does not happen', () => {
    const facts: InstanceFacts = { desiredState: 'running', suspensions: [], generation: 1, observedGeneration: 1 };
    expect(statusAfter('running', 'provision-failed', facts)).toBeUndefined();
    expect(statusAfter('terminated', 'start-began', facts)).toBeUndefined();
    expect(statusAfter('suspended', 'start-began', facts)).toBeUndefined();
  });

  test('what an operation brought about rests where the row wants it, even where its beginning was lost', () => {
    const facts = { desiredState: 'stopped' as const, suspensions: [], generation: 2, observedGeneration: 1 };
    for (const kind of ['start', 'stop', 'restart', 'suspend', 'resume', 'undo', 'repair'] as const) {
      expect(statusAfter('running', `${kind}-finished`, facts)).toBe('stopped');
      expect(statusAfter('stopped', `${kind}-finished`, { ...facts, suspensions: ['abuse'] })).toBe('suspended');
      expect(statusAfter('suspended', `${kind}-finished`, { ...facts, desiredState: 'running' })).toBe('running');
    }
    expect(statusAfter('running', 'terminate-finished', { ...facts, desiredState: 'terminated' })).toBe('terminated');
  });

  test('every status it leads to can be reached from a new instance', () => {
    const reached = new Set<InstanceStatus>(['creating']);
    for (let size = 0; size !== reached.size; ) {
      size = reached.size;
      for (const { from, to } of transitions) if (reached.has(from)) reached.add(to);
    }
    const unreached = new Set(
      transitions.flatMap(({ from, to }) => [from, to]).filter((status) => !reached.has(status)),
    );
    // Updates come with the upgrade of Odoo.
    expect([...unreached]).toEqual(['updating']);
  });

  test('leads out of terminated by an undo only, and only to where the row wants it back', () => {
    const ways = transitions.filter(({ from }) => from === 'terminated');
    expect(ways).toEqual([{ from: 'terminated', event: 'undo-began', guard: 'made, wanted back', to: 'maintenance' }]);
  });

  test('leads to running only with a guard that no suspension passes', () => {
    const ways = transitions.filter(({ to }) => to === 'running');
    const suspended = allFacts.filter(({ suspensions }) => suspensions.length > 0);
    expect([ways.length, suspended.length]).not.toContain(0);
    for (const { guard } of ways) {
      expect(guard).toBeDefined();
      for (const facts of suspended) {
        expect(guards[guard as keyof typeof guards](facts)).toBe(false);
      }
    }
  });
});

describe('what the cluster shows', () => {
  test('never stops, suspends or ends an instance, and touches none of these', () => {
    const ways = transitions.filter(({ event }) => observations.includes(event));
    expect(ways.length).toBeGreaterThan(0);
    for (const { from, to } of ways) {
      expect(['running', 'missing', 'error']).toContain(to);
      expect(['stopped', 'suspended', 'maintenance', 'terminated', 'terminating', 'creating']).not.toContain(from);
    }
  });

  test('is no news while the last wish has not been brought about', () => {
    const facts: InstanceFacts = { desiredState: 'running', suspensions: [], generation: 2, observedGeneration: 1 };
    for (const status of instanceStatuses) {
      for (const event of observations) expect(statusAfter(status, event, facts)).toBeUndefined();
    }
  });
});
