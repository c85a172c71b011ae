import { describe, expect, test } from 'vitest';
import type { Principal } from './principal.ts';
import { openLocalWindows, subjectOf } from './rate-limit.ts';

const limit = { count: 3, windowMs: 1_000 };

describe('a sliding window in memory', () => {
  test('lets so many in, then says when there is room again', () => {
    const world = { nowMs: 0 };
    const windows = openLocalWindows({ maxSubjects: 10, nowMs: () => world.nowMs });
    const remaining = [0, 100, 200].map((nowMs) => {
      world.nowMs = nowMs;
      return windows.take('a', limit).remaining;
    });
    expect(remaining).toEqual([2, 1, 0]);
    world.nowMs = 300;
    expect(windows.take('a', limit)).toEqual({ isAllowed: false, remaining: 0, retryAfterMs: 700 });
    world.nowMs = 1_000;
    expect(windows.take('a', limit).isAllowed).toBe(true);
    expect(windows.take('a', limit).isAllowed).toBe(false);
  });

  test('never lets more in than its count, wherever the window is laid', () => {
    const world = { nowMs: 0 };
    const windows = openLocalWindows({ maxSubjects: 10, nowMs: () => world.nowMs });
    const allowedAt: number[] = [];
    for (let nowMs = 0; nowMs < 10_000; nowMs += 37) {
      world.nowMs = nowMs;
      if (windows.take('a', limit).isAllowed) allowedAt.push(nowMs);
    }
    for (const from of allowedAt)
      expect(allowedAt.filter((time) => time >= from && time < from + 1_000).length).toBeLessThanOrEqual(3);
    expect(allowedAt.length).toBeGreaterThan(25);
  });

  test('does not count what it denies', () => {
    const world = { nowMs: 0 };
    const windows = openLocalWindows({ maxSubjects: 10, nowMs: () => world.nowMs });
    for (let count = 0; count < 3; count += 1) windows.take('a', limit);
    for (world.nowMs = 10; world.nowMs < 1_000; world.nowMs += 10) windows.take('a', limit);
    world.nowMs = 1_001;
    expect(windows.take('a', limit).isAllowed).toBe(true);
  });

  test('keeps subjects apart, and forgets who was not seen for longest when there are too many', () => {
    const windows = openLocalWindows({ maxSubjects: 2, nowMs: () => 0 });
    const one = { count: 1, windowMs: 1_000 };
    expect(windows.take('a', one).isAllowed).toBe(true);
    expect(windows.take('b', one).isAllowed).toBe(true);
    expect(windows.take('a', one).isAllowed).toBe(false);
    windows.take('c', one);
    expect(windows.take('b', one).isAllowed).toBe(true);
  });
});

describe('requests are counted', () => {
  const key: Principal = { kind: 'key', id: 'k1', role: 'customer', customerId: 'acme', scopes: [] };
  test('for each reader, and for the customer when they change something', () => {
    expect(subjectOf(key, 'read')).toBe('key:k1');
    expect(subjectOf(key, 'write')).toBe('customer:acme');
    expect(subjectOf(key, 'export')).toBe('customer:acme');
  });
  test('for the one who asks when he is no customer', () => {
    expect(subjectOf({ ...key, kind: 'user', role: 'admin', customerId: null }, 'write')).toBe('user:k1');
  });
});
