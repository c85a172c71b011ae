import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Due,
  dueBackup,
  dueVerification,
  nextRequest,
  pickFairly,
  retryAfter,
  type ScheduleFacts,
  turnAt,
} from './schedule.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const now = new Date('2026-03-29T12:00:00Z');
const ago = (ms: number) => new Date(now.getTime() - ms);
const instanceId = 'abcdefgh2345';
const turn = turnAt(instanceId, 'backup', { intervalMs: dayMs, now });
const verifyTurn = turnAt(instanceId, 'verify', { intervalMs: 7 * dayMs, now });
const none = { count: 0, lastAt: null };

const facts = (change: Partial<ScheduleFacts> = {}): ScheduleFacts => ({
  instanceId,
  createdAt: ago(90 * dayMs),
  terminatedAt: null,
  backupHours: 24,
  verifyDays: 7,
  newest: null,
  lastLook: null,
  backupFailures: none,
  verifyFailures: none,
  ...change,
});
const newest = (startedAt: Date, change: Partial<NonNullable<ScheduleFacts['newest']>> = {}) => ({
  id: 'b-1',
  kind: 'scheduled',
  startedAt,
  proof: 'none' as const,
  ...change,
});

describe('turns', () => {
  const anyId = fc.stringMatching(/^[a-z2-7]{12}$/);
  const anyTime = fc.date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });

  test('are as long as the interval, on days with 23 and 25 hours too', () => {
    fc.assert(
      fc.property(anyId, anyTime, fc.integer({ min: 1, max: 200 }), (id, time, hours) => {
        const intervalMs = hours * hourMs;
        const at = turnAt(id, 'backup', { intervalMs, now: time });
        expect(at.getTime()).toBeLessThanOrEqual(time.getTime());
        expect(time.getTime() - at.getTime()).toBeLessThan(intervalMs);
        const next = turnAt(id, 'backup', { intervalMs, now: new Date(time.getTime() + intervalMs) });
        expect(next.getTime() - at.getTime()).toBe(intervalMs);
      }),
    );
  });

  test('of a fleet are spread over the interval', () => {
    const perHour = Array.from({ length: 24 }, () => 0);
    for (let number = 0; number < 2_400; number += 1) {
      const at = turnAt(`instance ${number}`, 'backup', { intervalMs: dayMs, now });
      const hour = at.getUTCHours();
      perHour[hour] = (perHour[hour] ?? 0) + 1;
    }
    expect(Math.min(...perHour)).toBeGreaterThan(60);
    expect(Math.max(...perHour)).toBeLessThan(140);
  });

  test('of an instance to be verified are not those of its backups', () => {
    const at = (task: 'backup' | 'verify') => turnAt(instanceId, task, { intervalMs: dayMs, now }).getTime();
    expect(at('backup')).not.toBe(at('verify'));
  });
});

describe('a backup', () => {
  const scheduled = { task: 'backup', kind: 'scheduled', subject: `turn of ${turn.toISOString()}` };

  test('is due when the last one is of an earlier turn, whoever asked for it', () => {
    expect(dueBackup(facts({ newest: newest(new Date(turn.getTime() - 1)) }), now)).toEqual(scheduled);
    expect(dueBackup(facts({ newest: newest(turn) }), now)).toBeUndefined();
    expect(dueBackup(facts({ newest: newest(turn, { kind: 'manual' }) }), now)).toBeUndefined();
  });

  test('is due once after an outage of many turns', () => {
    expect(dueBackup(facts({ newest: newest(ago(30 * dayMs)) }), now)).toEqual(scheduled);
    expect(dueBackup(facts({ newest: newest(ago(1)) }), now)).toBeUndefined();
  });

  test('of a new instance is due when its first turn begins', () => {
    expect(dueBackup(facts({ createdAt: new Date(turn.getTime() + 1) }), now)).toBeUndefined();
    expect(dueBackup(facts({ createdAt: new Date(turn.getTime() - 1) }), now)).toEqual(scheduled);
  });

  test('is not due where the plan has none', () => {
    expect(dueBackup(facts({ backupHours: 0 }), now)).toBeUndefined();
  });

  test('takes the place of one that was refuted, in the same turn', () => {
    const refuted = facts({ newest: newest(ago(1), { proof: 'refuted' }) });
    expect(dueBackup(refuted, now)).toMatchObject({ subject: `turn of ${turn.toISOString()} instead of b-1` });
  });

  test('that failed is tried sooner than in the next turn, and later each time', () => {
    const failed = (count: number, lastAt: Date) => dueBackup(facts({ backupFailures: { count, lastAt } }), now);
    expect(failed(1, ago(14 * 60_000))).toBeUndefined();
    expect(failed(1, ago(15 * 60_000))).toEqual(scheduled);
    expect(failed(2, ago(29 * 60_000))).toBeUndefined();
    expect(failed(2, ago(30 * 60_000))).toEqual(scheduled);
    expect([1, 2, 5, 6, 60].map(retryAfter)).toEqual([0.25, 0.5, 4, 6, 6].map((hours) => hours * hourMs));
  });

  test('of a terminated instance is due until a final one was begun after the termination', () => {
    const terminatedAt = ago(hourMs);
    const due = (change: Partial<ScheduleFacts>) => dueBackup(facts({ terminatedAt, ...change }), now);
    const final = { task: 'backup', kind: 'final', subject: `final since ${terminatedAt.toISOString()}` };
    expect(due({})).toEqual(final);
    expect(due({ backupHours: 0, newest: newest(ago(1)) })).toEqual(final);
    expect(due({ newest: newest(ago(2 * hourMs), { kind: 'final' }) })).toEqual(final);
    expect(due({ newest: newest(ago(1), { kind: 'final' }) })).toBeUndefined();
    expect(due({ newest: newest(ago(1), { kind: 'final', proof: 'refuted' }) })).toMatchObject({ kind: 'final' });
  });
});

describe('a verification', () => {
  test('is due once in a turn of its own, of the newest backup', () => {
    const due = (lastAt: Date) =>
      dueVerification(facts({ newest: newest(ago(hourMs)), lastLook: { state: 'proven', at: lastAt } }), now);
    const subject = `turn of ${verifyTurn.toISOString()}`;
    expect(due(new Date(verifyTurn.getTime() - 1))).toEqual({ task: 'verify', backupId: 'b-1', subject });
    expect(due(verifyTurn)).toBeUndefined();
  });

  test('is due at once where none was ever looked at, or the last one was refuted', () => {
    expect(dueVerification(facts(), now)).toBeUndefined();
    expect(dueVerification(facts({ newest: newest(ago(1)) }), now)).toMatchObject({ subject: 'b-1' });
    const refuted = { state: 'refuted' as const, at: ago(1) };
    expect(dueVerification(facts({ newest: newest(ago(1)), lastLook: refuted }), now)).toMatchObject({
      subject: 'b-1',
    });
  });

  test('of one that was refuted is not due again: another backup is', () => {
    const refuted = facts({ newest: newest(ago(1), { proof: 'refuted' }), lastLook: { state: 'refuted', at: ago(1) } });
    expect(dueVerification(refuted, now)).toBeUndefined();
  });

  test('of a final backup is always due, until it is proven', () => {
    const due = (change: Parameters<typeof newest>[1], terminatedAt = ago(hourMs)) =>
      dueVerification(facts({ terminatedAt, verifyDays: 0, newest: newest(ago(1), change) }), now);
    expect(due({ kind: 'final' })).toEqual({ task: 'verify', backupId: 'b-1', subject: 'b-1' });
    expect(due({ kind: 'final', proof: 'proven' })).toBeUndefined();
    expect(due({ kind: 'scheduled' })).toBeUndefined();
    expect(due({ kind: 'final' }, now)).toBeUndefined();
  });

  test('that failed is tried again with growing pauses', () => {
    const due = (lastAt: Date) =>
      dueVerification(facts({ newest: newest(ago(1)), verifyFailures: { count: 3, lastAt } }), now);
    expect(due(ago(59 * 60_000))).toBeUndefined();
    expect(due(ago(hourMs))).toBeDefined();
  });

  test('every instance that is backed up daily is looked at within the week', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z2-7]{12}$/), fc.integer({ min: 1, max: 14 }), (id, verifyDays) => {
        let lastLook: ScheduleFacts['lastLook'] = null;
        for (let hour = 0; hour < 24 * 60; hour += 1) {
          const time = new Date(now.getTime() + hour * hourMs);
          const one = facts({ instanceId: id, verifyDays, newest: newest(time), lastLook });
          if (dueVerification(one, time) !== undefined) lastLook = { state: 'proven', at: time };
          const since = time.getTime() - (lastLook?.at.getTime() ?? 0);
          expect(since).toBeLessThanOrEqual(verifyDays * dayMs);
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe('a request', () => {
  const due: Due = { task: 'backup', kind: 'scheduled', subject: 'turn 1' };

  test('is made once, and again with growing pauses while nobody takes it', () => {
    expect(nextRequest(due, undefined, now)).toEqual({ requests: 1, waitMs: 600_000 });
    expect(
      nextRequest(due, { subject: 'turn 1', requests: 1, nextAt: new Date(now.getTime() + 1) }, now),
    ).toBeUndefined();
    expect(nextRequest(due, { subject: 'turn 1', requests: 1, nextAt: now }, now)).toEqual({
      requests: 2,
      waitMs: 1_200_000,
    });
    expect(nextRequest(due, { subject: 'turn 1', requests: 50, nextAt: now }, now)?.waitMs).toBe(6 * hourMs);
  });

  test('for something else begins anew', () => {
    const other = { subject: 'turn 0', requests: 7, nextAt: new Date(now.getTime() + dayMs) };
    expect(nextRequest(due, other, now)).toEqual({ requests: 1, waitMs: 600_000 });
  });
});

describe('of those that are due', () => {
  const many = [...'aaaaabbbc'].map((serverId, index) => ({ serverId, index }));

  test('each server gets its share, in turns, and no more than it has room for', () => {
    const room = new Map([
      ['a', 9],
      ['b', 1],
      ['c', 5],
    ]);
    expect(
      pickFairly(many, { atMost: 5, room })
        .map(({ serverId }) => serverId)
        .join(''),
    ).toBe('abcaa');
  });

  test('a server without room, or one nobody knows, gets none', () => {
    expect(pickFairly(many, { atMost: 9, room: new Map([['b', -1]]) })).toEqual([]);
  });
});
