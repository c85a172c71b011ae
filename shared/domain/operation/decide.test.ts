import { describe, expect, test } from 'vitest';
import { Failure, type FailureCode, failureCodes } from '../failure.ts';
import { decide, maximumAttempts, maximumUnexplainedAttempts, retryDelayMs, type StepResult } from './decide.ts';
import { done, missing, waiting } from './step.ts';

const after = (result: StepResult, given: { attempt?: number; mayAct?: boolean; random?: number } = {}) =>
  decide(result, { attempt: 1, mayAct: true, random: 0, ...given });
const thrown = (code: FailureCode): StepResult => ({ thrown: new Failure(code, 'x') });

describe('what a step left', () => {
  test.each([
    ['done after a look', { look: done }, true, { next: 'step' }],
    ['done after an act', { look: done }, false, { next: 'step' }],
    ['missing after a look', { look: missing }, true, { next: 'act' }],
    [
      'waiting after a look',
      { look: waiting('Job x', { checkAfterMs: 5_000 }) },
      true,
      { next: 'wait', for: 'Job x', checkAfterMs: 5_000 },
    ],
    [
      'waiting after an act',
      { look: waiting('Job x', { checkAfterMs: 0 }) },
      false,
      { next: 'wait', for: 'Job x', checkAfterMs: 0 },
    ],
  ] as const)('%s', (_name, result, mayAct, decision) => {
    expect(after(result, { mayAct })).toEqual(decision);
  });

  test('missing after an act is tried again, a few times', () => {
    expect(after({ look: missing }, { mayAct: false })).toMatchObject({ next: 'try-again', afterMs: 500 });
    const last = { mayAct: false, attempt: maximumUnexplainedAttempts };
    expect(after({ look: missing }, last)).toMatchObject({ next: 'fail', failure: { code: 'internal' } });
  });
});

describe('what a step threw', () => {
  const codes = Object.keys(failureCodes) as FailureCode[];
  test.each(codes)('%s', (code) => {
    const wanted = { transient: 'try-again', permanent: 'fail', fenced: 'stand-back' }[failureCodes[code]];
    for (const mayAct of [true, false]) expect(after(thrown(code), { mayAct }).next).toBe(wanted);
  });

  test('is given on with the decision', () => {
    const failure = new Failure('conflict', 'Somebody else was faster.');
    expect(after({ thrown: failure }, { attempt: 3 })).toEqual({ next: 'try-again', failure, afterMs: 2_000 });
    expect(after({ thrown: new RangeError('no') })).toMatchObject({ failure: { code: 'internal' } });
  });

  test.each([
    ['unavailable', maximumAttempts],
    ['outcome-unknown', maximumAttempts],
    ['internal', maximumUnexplainedAttempts],
  ] as const)('%s is tried again until try %i', (code, last) => {
    expect(after(thrown(code), { attempt: last - 1 }).next).toBe('try-again');
    expect(after(thrown(code), { attempt: last }).next).toBe('fail');
  });

  test.each(['no-capacity'] as const)('%s is waited for as long as the operation may take', (code) => {
    expect(after(thrown(code), { attempt: 100_000 })).toMatchObject({ next: 'try-again', afterMs: 60_000 });
  });
});

test('the waits double up to a minute, with a fifth of jitter', () => {
  const waits = Array.from({ length: maximumAttempts - 1 }, (_, at) => retryDelayMs(at + 1, 0));
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  expect(retryDelayMs(3, 1)).toBe(1_600);
  expect(retryDelayMs(5_000, 0.5)).toBe(54_000);
  // 4 to 5 minutes in all
  expect(waits.reduce((sum, wait) => sum + wait, 0)).toBe(303_500);
});
