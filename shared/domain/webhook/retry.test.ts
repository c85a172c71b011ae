import { describe, expect, test } from 'vitest';
import { hasFailedForLong, judgeAttempt, retryAfterOf, retryDelaysMs } from './retry.ts';

const hour = 3_600_000;
const failed = { status: 500, error: 'answered 500' };

describe('a delivery that was not taken', () => {
  test('is tried again for three days, ever more seldom', () => {
    const total = retryDelaysMs.reduce((sum, delay) => sum + delay, 0);
    expect(total / hour).toBeGreaterThan(70);
    expect(total / hour).toBeLessThan(74);
    expect(retryDelaysMs.toSorted((a, b) => a - b)).toEqual(retryDelaysMs);
    const last = retryDelaysMs.length;
    expect(judgeAttempt(failed, { attempt: last, random: 0.5 })).toEqual({
      is: 'again',
      delayMs: retryDelaysMs[last - 1],
    });
    expect(judgeAttempt(failed, { attempt: last + 1, random: 0.5 })).toEqual({ is: 'given-up' });
  });

  test('is tried a tenth sooner or later than the others that failed with it', () => {
    expect(judgeAttempt(failed, { attempt: 4, random: 0 })).toEqual({ is: 'again', delayMs: 1.8 * hour });
    expect(judgeAttempt(failed, { attempt: 4, random: 1 })).toEqual({ is: 'again', delayMs: 7_920_000 });
  });

  test.each([null, 301, 400, 401, 404, 429, 503])('is tried again after %s', (status) => {
    expect(judgeAttempt({ status, error: 'no' }, { attempt: 1, random: 0.5 })).toEqual({ is: 'again', delayMs: 5_000 });
  });

  test('waits as long as the receiver asks for, within bounds, and never less than it would', () => {
    const after = (retryAfterMs: number, attempt = 1) =>
      judgeAttempt({ ...failed, retryAfterMs }, { attempt, random: 0.5 });
    expect(after(60_000)).toEqual({ is: 'again', delayMs: 60_000 });
    expect(after(0)).toEqual({ is: 'again', delayMs: 5_000 });
    expect(after(1_000 * hour)).toEqual({ is: 'again', delayMs: 6 * hour });
  });
});

test.each([200, 201, 204, 299])('%s says that it was taken', (status) => {
  expect(judgeAttempt({ status, error: null }, { attempt: 1, random: 0 })).toEqual({ is: 'taken' });
});

test('410 says that the endpoint is gone', () => {
  expect(judgeAttempt({ status: 410, error: 'answered 410' }, { attempt: 1, random: 0 })).toEqual({ is: 'gone' });
});

test('an endpoint has failed for long when nothing was taken since a delivery was first tried', () => {
  const begunAt = new Date('2027-01-01T00:00:00Z');
  expect(hasFailedForLong({ failingSince: begunAt, begunAt })).toBe(true);
  expect(hasFailedForLong({ failingSince: new Date('2027-01-02T00:00:00Z'), begunAt })).toBe(false);
  expect(hasFailedForLong({ failingSince: null, begunAt })).toBe(false);
});

test('a wait that is asked for is in seconds or a date', () => {
  const now = Date.parse('2027-01-01T00:00:00Z');
  expect(retryAfterOf('120', now)).toBe(120_000);
  expect(retryAfterOf('Fri, 01 Jan 2027 00:01:00 GMT', now)).toBe(60_000);
  expect(retryAfterOf('Thu, 31 Dec 2026 00:01:00 GMT', now)).toBe(0);
  expect(retryAfterOf('soon', now)).toBeUndefined();
  expect(retryAfterOf(undefined, now)).toBeUndefined();
});
