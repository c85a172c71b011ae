import { describe, expect, it } from 'vitest';
import { Failure, type FailureCode, failureCodes } from '#shared/domain/failure.ts';
import { forFailure } from './answer.ts';

describe('what a failure is answered with', () => {
  const statusOf = (code: FailureCode) => {
    const fate = forFailure(new Failure(code, 'text'));
    return fate.keep ? 'kept' : fate.answer.status;
  };

  it.each<[FailureCode, number | 'kept']>([
    ['invalid-event', 'kept'],
    ['reused-event-id', 'kept'],
    ['host-taken', 'kept'],
    ['unavailable', 503],
    ['timeout', 503],
    ['outcome-unknown', 503],
    ['fenced', 204],
    ['internal', 500],
    ['misconfigured', 500],
  ])('%s: %s', (code, expected) => {
    expect(statusOf(code)).toBe(expected);
  });

  it('is never a 4xx, which one broker retries and another loses', () => {
    for (const code of Object.keys(failureCodes) as FailureCode[])
      expect(['kept', 204, 500, 503]).toContain(statusOf(code));
  });
});
