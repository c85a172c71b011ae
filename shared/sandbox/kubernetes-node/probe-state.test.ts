import { describe, expect, test } from 'vitest';
import type { Probe } from './objects.ts';
import { countResult, freshProbeState, isProbeDue, type ProbeKind, type ProbeState } from './probe-state.ts';

const now = 1_000_000;
const running = { run: 1, startedAtMs: now - 5_000, isStarted: true, isPodEnding: false };
const due = (kind: ProbeKind, view = {}, { probe = {} as Probe, state = freshProbeState } = {}) =>
  isProbeDue(kind, probe, { view: { ...running, ...view }, state, nowMs: now });

describe('a tick probes', () => {
  test('nothing while the container does not run', () => {
    const { startedAtMs: _startedAtMs, ...waiting } = running;
    expect(isProbeDue('liveness', {}, { view: waiting, state: freshProbeState, nowMs: now })).toBe(false);
  });

  test('after the initial delay, counted in whole seconds', () => {
    expect(due('readiness', { startedAtMs: now - 4_999 }, { probe: { initialDelaySeconds: 5 } })).toBe(false);
    expect(due('readiness', { startedAtMs: now - 5_000 }, { probe: { initialDelaySeconds: 5 } })).toBe(true);
  });

  test('only startup until the container has started, and then all but startup', () => {
    const kinds: ProbeKind[] = ['startup', 'readiness', 'liveness'];
    expect(kinds.map((kind) => due(kind, { isStarted: false }))).toEqual([true, false, false]);
    expect(kinds.map((kind) => due(kind, { isStarted: true }))).toEqual([false, true, true]);
  });

  test('readiness only while the pod is ending', () => {
    expect(due('readiness', { isPodEnding: true })).toBe(true);
    expect(due('liveness', { isPodEnding: true })).toBe(false);
  });

  test('not again after a final verdict, until the container is another one', () => {
    const state: ProbeState = { run: 1, last: false, count: 0, isOnHold: true };
    expect(due('liveness', {}, { state })).toBe(false);
    expect(due('liveness', { run: 2 }, { state })).toBe(true);
  });
});

describe('results', () => {
  const verdicts = (kind: ProbeKind, probe: Probe, results: [run: number, isSuccess: boolean][]) => {
    let state = freshProbeState;
    return results.map(([run, isSuccess]) => {
      const counted = countResult(kind, probe, { state, run, isSuccess });
      state = counted.state;
      return counted.verdict;
    });
  };

  test('become a verdict after three failures or one success, unless stated', () => {
    const results: [number, boolean][] = [
      [1, true],
      [1, false],
      [1, false],
      [1, false],
      [1, true],
    ];
    expect(verdicts('readiness', {}, results)).toEqual([true, undefined, undefined, false, true]);
  });

  test('are counted in a row only', () => {
    const results: [number, boolean][] = [
      [1, false],
      [1, true],
      [1, false],
    ];
    expect(verdicts('liveness', { failureThreshold: 2 }, results)).toEqual([undefined, true, undefined]);
  });

  test('of a former run of the container do not count', () => {
    expect(
      verdicts('liveness', { failureThreshold: 2 }, [
        [1, false],
        [2, false],
      ]),
    ).toEqual([undefined, undefined]);
  });

  test('of startup are final, and of liveness when it failed', () => {
    const hold = (kind: ProbeKind, isSuccess: boolean) =>
      countResult(kind, { failureThreshold: 1 }, { state: freshProbeState, run: 1, isSuccess }).state.isOnHold;
    expect([hold('startup', true), hold('startup', false), hold('liveness', false)]).toEqual([true, true, true]);
    expect([hold('liveness', true), hold('readiness', false)]).toEqual([false, false]);
  });
});
