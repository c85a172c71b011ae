import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { word } from '#events/fields.ts';
import { asFailure, Failure, type FailureCode, failureCodes, mayRetry } from './failure.ts';

const codes = Object.keys(failureCodes) as FailureCode[];

describe('failure codes', () => {
  test.each(codes)('%s says whether waiting helps, and fits into an event', (code) => {
    expect(['transient', 'permanent', 'fenced']).toContain(failureCodes[code]);
    expect(v.is(word, code)).toBe(true);
    expect(mayRetry(new Failure(code, 'x'))).toBe(failureCodes[code] === 'transient');
  });

  test('only what may go away by itself is tried again', () => {
    expect(codes.filter((code) => mayRetry(new Failure(code, 'x'))).sort()).toEqual([
      'conflict',
      'internal',
      'no-capacity',
      'outcome-unknown',
      'timeout',
      'too-many-requests',
      'unavailable',
    ]);
    expect(codes.filter((code) => failureCodes[code] === 'fenced')).toEqual(['fenced']);
  });
});

describe('a caught value', () => {
  test('that is a failure stays what it is', () => {
    const failure = new Failure('timeout', 'No answer.', { cause: new Error('socket'), facts: { server: 'one' } });
    expect(asFailure(failure)).toBe(failure);
    expect(failure).toMatchObject({ name: 'Failure', code: 'timeout', facts: { server: 'one' } });
    expect(failure.cause).toEqual(new Error('socket'));
  });

  test.each([
    [new TypeError('x is not a function'), 'Unexpected error: x is not a function'],
    ['text', 'Unexpected error: text'],
    [undefined, 'Unexpected error: undefined'],
    [null, 'Unexpected error: null'],
  ])('that is none becomes internal around it: %s', (caught, message) => {
    const failure = asFailure(caught);
    expect(failure).toMatchObject({ code: 'internal', message });
    expect(failure.cause).toBe(caught);
  });
});
