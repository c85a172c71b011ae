import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BackupKind, BackupState, ProofState } from './backup.ts';
import { keptByGenerations, type RetainedBackup, retain } from './retention.ts';

const dayMs = 86_400_000;
const keep = { daily: 7, weekly: 4, monthly: 3 };

let made = 0;
function backup(at: string | Date, change: Partial<RetainedBackup> = {}): RetainedBackup {
  const time = new Date(at);
  made += 1;
  return {
    id: String(made).padStart(6, '0'),
    kind: 'scheduled',
    state: 'succeeded',
    startedAt: time,
    finishedAt: time,
    snapshotAt: time,
    keepUntil: null,
    lockedUntil: null,
    proof: 'proven',
    isInUse: false,
    ...change,
  };
}
const daily = (from: string, days: number) =>
  Array.from({ length: days }, (_, day) => backup(new Date(Date.parse(from) + day * dayMs)));
const given = (backups: readonly RetainedBackup[], now: string | Date, purgedAt: Date | null = null) =>
  retain({ backups, keep, purgedAt, now: new Date(now) });
const keptDays = (backups: readonly RetainedBackup[], now: string) => {
  const gone = new Set(given(backups, now).map(({ id }) => id));
  return backups.filter(({ id }) => !gone.has(id)).map(({ snapshotAt }) => snapshotAt?.toISOString().slice(0, 10));
};

describe('generations', () => {
  test('keep seven days, four weeks and three months, over the end of a leap February', () => {
    // 2028-03-05 is a Sunday
    expect(keptDays(daily('2027-12-01T02:00:00Z', 96), '2028-03-05T12:00:00Z')).toEqual([
      '2028-01-31',
      '2028-02-13',
      '2028-02-20',
      '2028-02-27',
      '2028-02-28',
      '2028-02-29',
      '2028-03-01',
      '2028-03-02',
      '2028-03-03',
      '2028-03-04',
      '2028-03-05',
    ]);
  });

  test('count days that have a backup: after a gap nothing is given up for being old', () => {
    const old = daily('2026-01-01T02:00:00Z', 7);
    expect(given(old, '2027-01-01T00:00:00Z')).toEqual([]);
  });

  test('keep the newest of a day, a week from Monday and a month', () => {
    // a Sunday and the Monday after it
    const sunday = backup('2026-11-22T23:59:59.999Z');
    const monday = backup('2026-11-23T00:00:00Z');
    const early = backup('2026-11-22T00:00:00Z');
    const points = [sunday, monday, early].map(({ id, startedAt }) => ({ id, at: startedAt }));
    expect(keptByGenerations(points, { daily: 0, weekly: 2, monthly: 0 })).toEqual(new Set([monday.id, sunday.id]));
    expect(keptByGenerations(points, { daily: 9, weekly: 0, monthly: 0 })).toEqual(new Set([monday.id, sunday.id]));
    expect(keptByGenerations(points, { daily: 0, weekly: 0, monthly: 3 })).toEqual(new Set([monday.id]));
  });
});

describe('what is not given up', () => {
  const now = '2026-12-31T00:00:00Z';
  const many = () => daily('2026-11-01T02:00:00Z', 40);
  const young = () => given([...many()], now).length;

  test('is anything while none of the good ones is proven', () => {
    const unproven = many().map((one) => ({ ...one, proof: 'none' as const }));
    expect(given(unproven, now)).toEqual([]);
    expect(young()).toBeGreaterThan(20);
  });

  test.each<[string, Partial<RetainedBackup>]>([
    ['is locked', { lockedUntil: new Date('2027-01-01') }],
    ['is held', { keepUntil: new Date('2027-01-01') }],
    ['is in use', { isInUse: true }],
    ['runs', { state: 'running', finishedAt: null }],
    ['is being deleted already', { state: 'deleting' }],
    ['was made by hand less than 30 days ago', { kind: 'manual', finishedAt: new Date('2026-12-02') }],
    [
      'was made before an upgrade less than 14 days ago',
      { kind: 'before-upgrade', finishedAt: new Date('2026-12-18') },
    ],
  ])('%s', (_, change) => {
    const old = backup('2026-11-02T01:00:00Z', change);
    expect(given([old, ...many()], now).map(({ id }) => id)).not.toContain(old.id);
    const free = backup('2026-11-02T01:00:00Z');
    expect(given([free, ...many()], now).map(({ id }) => id)).toContain(free.id);
  });

  test('is a final one of less than 90 days, and one after that when its instance was purged as long ago', () => {
    const final = backup('2026-11-02T01:00:00Z', { kind: 'final' });
    const rest = backup('2026-12-01T01:00:00Z');
    expect(given([final, rest], now)).toEqual([]);
    const purgedAt = new Date('2026-12-02');
    expect(given([final, rest], now, purgedAt)).toEqual([{ id: rest.id, reason: 'purged' }]);
    expect(given([final], '2027-03-01T00:00:00Z', purgedAt)).toEqual([]);
    expect(given([final], '2027-03-02T00:00:00Z', purgedAt)).toEqual([{ id: final.id, reason: 'purged' }]);
  });
});

test('a refuted one goes after 14 days, and a failed one after 3, and neither counts', () => {
  const refuted = backup('2026-12-01T00:00:00Z', { proof: 'refuted' });
  const failed = backup('2026-12-28T00:00:00Z', { state: 'failed', proof: 'none', snapshotAt: null });
  const good = backup('2026-12-02T00:00:00Z');
  const set = [refuted, failed, good];
  expect(given(set, '2026-12-14T23:59:59Z')).toEqual([]);
  expect(given(set, '2026-12-15T00:00:00Z')).toEqual([{ id: refuted.id, reason: 'refuted' }]);
  expect(given(set, '2026-12-31T00:00:00Z')).toContainEqual({ id: failed.id, reason: 'failed' });
});

const often = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const state = often<BackupState>('succeeded', 'running', 'failed', 'deleting');
const proof = fc.constantFrom<ProofState[]>('none', 'proven', 'refuted');
const kind = often<BackupKind>('scheduled', 'manual', 'before-upgrade', 'before-restore', 'final');
// the end of leap years' Februaries, turns of years, and days on which clocks are changed
const around = fc.constantFrom('2024-02-29', '2027-12-31', '2028-02-29', '2026-03-29', '2026-10-25');
const quarters = (days: number) => fc.integer({ min: -days * 96, max: days * 96 });
const moment = fc.tuple(around, quarters(90)).map(([day, count]) => later(day, count));
const later = (day: string, count: number) => new Date(Date.parse(day) + count * 900_000);
const until = fc.option(quarters(90), { freq: 6 });
const anyBackup = fc.record({
  at: quarters(45),
  state,
  proof,
  kind,
  keepUntil: until,
  lockedUntil: until,
  isInUse: often(false, true),
});
const anyKeep = fc.record({ daily: fc.nat(4), weekly: fc.nat(2), monthly: fc.nat(2) });
const anySet = fc
  .record({ day: around, backups: fc.array(anyBackup, { maxLength: 14 }), keep: anyKeep, now: quarters(200) })
  .map(({ day, backups, keep: counts, now }) => ({
    keep: counts,
    now: later(day, now),
    backups: backups.map(({ at, keepUntil, lockedUntil, ...rest }) =>
      backup(later(day, at), {
        ...rest,
        finishedAt: rest.state === 'running' ? null : later(day, at),
        keepUntil: keepUntil === null ? null : later(day, keepUntil),
        lockedUntil: lockedUntil === null ? null : later(day, lockedUntil),
      }),
    ),
  }));
const good = (all: readonly RetainedBackup[]) =>
  all.filter((one) => one.state === 'succeeded' && one.proof !== 'refuted');
const newest = (all: readonly RetainedBackup[]) =>
  [...all].sort((one, other) => (other.snapshotAt?.getTime() ?? 0) - (one.snapshotAt?.getTime() ?? 0))[0];

describe('whatever there is', () => {
  const holds = (
    rule: (
      left: RetainedBackup[],
      gone: RetainedBackup[],
      all: typeof anySet extends fc.Arbitrary<infer T> ? T : never,
    ) => void,
  ) =>
    fc.assert(
      fc.property(anySet, (set) => {
        const ids = new Set(retain({ ...set, purgedAt: null }).map(({ id }) => id));
        const gone = set.backups.filter(({ id }) => ids.has(id));
        rule(
          set.backups.filter(({ id }) => !ids.has(id)),
          gone,
          set,
        );
      }),
      { numRuns: 2_000 },
    );

  test('the newest good one and the newest proven one stay', () =>
    holds((left, _gone, { backups }) => {
      const proven = (all: readonly RetainedBackup[]) => good(all).filter((one) => one.proof === 'proven');
      const at = (one: RetainedBackup | undefined) => one?.snapshotAt?.getTime();
      expect(at(newest(good(left)))).toBe(at(newest(good(backups))));
      expect(at(newest(proven(left)))).toBe(at(newest(proven(backups))));
    }));

  test('no fewer than three good ones are left where there were as many', () =>
    holds((left, _gone, { backups }) => {
      expect(good(left).length).toBeGreaterThanOrEqual(Math.min(3, good(backups).length));
    }));

  test('nothing good is given up while none is proven', () =>
    holds((_left, gone, { backups }) => {
      if (good(backups).every((one) => one.proof !== 'proven')) expect(good(gone)).toEqual([]);
    }));

  test('what runs, is in use, is locked, is held or is as young as its kind may not go does not go', () =>
    holds((_left, gone, { now }) => {
      for (const one of gone) {
        expect(['succeeded', 'failed']).toContain(one.state);
        expect(one.isInUse).toBe(false);
        expect(one.lockedUntil === null || one.lockedUntil <= now).toBe(true);
        expect(one.keepUntil === null || one.keepUntil <= now).toBe(true);
        const days = { scheduled: 0, manual: 30, 'before-upgrade': 14, 'before-restore': 14, final: 90 }[one.kind];
        if (one.state === 'succeeded') {
          expect(now.getTime() - (one.finishedAt?.getTime() ?? 0)).toBeGreaterThanOrEqual(days * dayMs);
        }
      }
    }));

  test('a failed or running one, however new, is no reason to give up a good one', () =>
    holds((_left, _gone, set) => {
      const counted = set.backups.filter((one) => one.state === 'succeeded');
      const goodIds = new Set(good(set.backups).map(({ id }) => id));
      const of = (backups: readonly RetainedBackup[]) =>
        retain({ ...set, backups, purgedAt: null }).filter(({ id }) => goodIds.has(id));
      expect(of(set.backups)).toEqual(of(counted));
    }));

  test('it is the same in any order', () =>
    holds((_left, gone, set) => {
      const again = retain({ ...set, backups: [...set.backups].reverse(), purgedAt: null }).map(({ id }) => id);
      expect(again.sort()).toEqual(gone.map(({ id }) => id).sort());
    }));
});

test('applied every day, with gaps and failures, it keeps what the generations keep of all there ever was', () => {
  const day = fc.record({
    skips: fc.boolean(),
    fails: fc.nat(2),
    at: fc.array(fc.nat(95), { maxLength: 2 }),
    proves: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(day, { minLength: 20, maxLength: 130 }), moment, anyKeep, (days, start, counts) => {
      const first = Math.floor(start.getTime() / dayMs) * dayMs;
      const ever: RetainedBackup[] = [];
      let there: RetainedBackup[] = [];
      for (const [number, { skips, fails, at, proves }] of days.entries()) {
        if (!skips) {
          const times = at.map((quarter) => new Date(first + number * dayMs + quarter * 900_000));
          const taken = times.map((time) => backup(time, { proof: proves === 0 ? 'proven' : 'none' }));
          const failed = times.slice(0, fails).map((time) => backup(time, { state: 'failed', proof: 'none' }));
          ever.push(...taken);
          there.push(...taken, ...failed);
        }
        const now = new Date(first + (number + 1) * dayMs);
        const gone = new Set(retain({ backups: there, keep: counts, purgedAt: null, now }).map(({ id }) => id));
        there = there.filter(({ id }) => !gone.has(id));
        const wanted = keptByGenerations(
          ever.map(({ id, startedAt }) => ({ id, at: startedAt })),
          counts,
        );
        const left = new Set(there.map(({ id }) => id));
        expect([...wanted].filter((id) => !left.has(id))).toEqual([]);
      }
    }),
    { numRuns: 60 },
  );
});
