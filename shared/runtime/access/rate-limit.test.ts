import { describe, expect, it } from 'vitest';
import type { Principal } from '#shared/domain/access/principal.ts';
import type { Verdict } from '#shared/domain/access/rate-limit.ts';
import { openRateLimiter } from './rate-limit.ts';

const principal: Principal = { kind: 'key', id: 'k1', role: 'admin', customerId: null, scopes: [] };
const other: Principal = { ...principal, id: 'k2' };

/** With `told` from the store that all processes share; undefined when it is away. */
function open(told: { verdict: Verdict | undefined }) {
  const clock = { ms: 0 };
  const limit = { count: 100, windowMs: 60_000 };
  const limiter = openRateLimiter({
    shared: { take: async () => told.verdict },
    limits: { read: limit, write: limit, export: limit },
    nowMs: () => clock.ms,
  });
  return { limiter, clock };
}

const left = (remaining: number): Verdict => ({ isAllowed: true, remaining, retryAfterMs: 0 });

describe('the guess that there is room', () => {
  it('is not made of somebody of whom nothing was told', async () => {
    const { limiter } = open({ verdict: left(99) });
    expect(limiter.hasRoom(principal, 'read')).toBe(false);
    await limiter.limit(principal, 'read');
    expect([limiter.hasRoom(principal, 'read'), limiter.hasRoom(principal, 'export')]).toEqual([true, false]);
    expect(limiter.hasRoom(other, 'read')).toBe(false);
  });

  it('holds for a moment only', async () => {
    const { limiter, clock } = open({ verdict: left(99) });
    await limiter.limit(principal, 'read');
    clock.ms = 999;
    expect(limiter.hasRoom(principal, 'read')).toBe(true);
    clock.ms = 1_000;
    expect(limiter.hasRoom(principal, 'read')).toBe(false);
  });

  it('ends when less than half is left, and at the first refusal', async () => {
    const told = { verdict: left(50) };
    const { limiter } = open(told);
    await limiter.limit(principal, 'read');
    expect(limiter.hasRoom(principal, 'read')).toBe(true);
    told.verdict = left(49);
    await limiter.limit(principal, 'read');
    expect(limiter.hasRoom(principal, 'read')).toBe(false);
    told.verdict = left(99);
    await limiter.limit(principal, 'read');
    told.verdict = { isAllowed: false, remaining: 0, retryAfterMs: 10 };
    await limiter.limit(principal, 'read');
    expect(limiter.hasRoom(principal, 'read')).toBe(false);
  });

  it('goes by what the process counts itself while the shared store is away', async () => {
    const { limiter } = open({ verdict: undefined });
    for (let count = 0; count < 50; count += 1) await limiter.limit(principal, 'read');
    expect(limiter.hasRoom(principal, 'read')).toBe(true);
    await limiter.limit(principal, 'read');
    expect(limiter.hasRoom(principal, 'read')).toBe(false);
  });
});
