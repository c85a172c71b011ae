import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type InstanceStatus, instanceStatuses } from './instance.ts';
import { type InstanceEvent, statusAfter, transitions } from './transitions.ts';

const events = [...new Set(transitions.map(({ event }) => event))];

describe('the transition table', () => {
  test('says one thing for each status and event', () => {
    const keys = transitions.map(({ from, event }) => `${from} ${event}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('knows only statuses that the records know, and every row changes something', () => {
    for (const { from, to } of transitions) {
      expect(instanceStatuses).toContain(from);
      expect(instanceStatuses).toContain(to);
      expect(from).not.toBe(to);
    }
  });

  test('what it does not say does not happen', () => {
    for (const from of instanceStatuses) {
      for (const event of events) {
        const row = transitions.find((one) => one.from === from && one.event === event);
        expect(statusAfter(from, event)).toBe(row?.to);
      }
    }
    expect(statusAfter('running', 'provision-failed')).toBeUndefined();
    expect(statusAfter('terminated', 'provision-retried')).toBeUndefined();
  });

  test('every status it leads to can be reached from a new instance', () => {
    const reached = new Set<InstanceStatus>(['creating']);
    for (let size = 0; size !== reached.size; ) {
      size = reached.size;
      for (const { from, to } of transitions) if (reached.has(from)) reached.add(to);
    }
    expect(transitions.filter(({ from, to }) => !reached.has(from) || !reached.has(to))).toEqual([]);
  });
});

test('in any life of 200 events, terminated is the end and only a finished provisioning runs', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom<InstanceEvent>(...events), { minLength: 200, maxLength: 200 }), (life) => {
      let status: InstanceStatus = 'creating';
      for (const event of life) {
        const next = statusAfter(status, event);
        if (next === undefined) continue;
        expect(status).not.toBe('terminated');
        if (next === 'running') expect(event).toBe('provision-finished');
        if (next === 'terminated') expect(event).toBe('provision-cancelled');
        if (status === 'running') throw new Error(`${event} must not touch a running instance`);
        status = next;
      }
    }),
    { numRuns: 300 },
  );
});
