import fc from 'fast-check';
import { expect, test } from 'vitest';
import { platformBackupId, platformBackupsIn, platformKeys, timeOfPlatformBackup } from './backup.ts';
import { givenUpPlatformBackups } from './retention.ts';

const now = new Date('2026-11-22T06:00:00Z');
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
const keysAt = (at: Date, random = '00000000', isWhole = true) => {
  const { dump, manifest } = platformKeys(platformBackupId(at, random));
  return isWhole ? [dump, manifest] : [dump];
};
const givenUp = (keys: readonly string[]) => givenUpPlatformBackups(platformBackupsIn(keys), now).map(({ id }) => id);

test('an id names its time and sorts by it', () => {
  const id = platformBackupId(new Date('2026-11-22T06:07:08.900Z'), '0a1b2c3d');
  expect(id).toBe('20261122T060708Z-0a1b2c3d');
  expect(timeOfPlatformBackup(id)).toEqual(new Date('2026-11-22T06:07:08Z'));
  expect(() => platformKeys('../x')).toThrow(/is named like/);
});

test('an hourly backup leaves 48 hours and 30 days', () => {
  const keys = Array.from({ length: 24 * 90 }, (_, hours) => keysAt(hoursAgo(hours))).flat();
  const gone = new Set(givenUp(keys));
  const kept = platformBackupsIn(keys).filter(({ id }) => !gone.has(id));
  // three of the days' newest are among the hours
  expect(kept).toHaveLength(48 + 30 - 3);
  expect(kept.at(0)?.id).toMatch(/^20261024T230000Z/);
});

test('one without a manifest goes after two days, and what is no backup of the platform is not looked at', () => {
  const [young, old] = [keysAt(hoursAgo(40), 'aaaaaaaa', false), keysAt(hoursAgo(50), 'bbbbbbbb', false)];
  expect(givenUp([...young, ...old, 'platform/readme', 'platform/x/dump'])).toEqual([
    platformBackupId(hoursAgo(50), 'bbbbbbbb'),
  ]);
});

test('never the newest, never one that would be kept if the others were not there, and the rest is stable', () => {
  const times = fc.array(fc.integer({ min: 0, max: 24 * 120 * 60 }), { maxLength: 200 });
  fc.assert(
    fc.property(times, (minutes) => {
      const keys = [...new Set(minutes)].flatMap((one) => keysAt(hoursAgo(one / 60)));
      const all = platformBackupsIn(keys);
      const gone = new Set(givenUp(keys));
      const kept = all.filter(({ id }) => !gone.has(id));
      for (const newest of all.slice(-3)) expect(gone.has(newest.id)).toBe(false);
      expect(kept.length).toBeLessThanOrEqual(48 + 30 + 3);
      // what was kept once is kept the second time
      expect(givenUp(kept.flatMap((one) => one.keys))).toEqual([]);
      // every day of the newest thirty that had one has one
      const days = new Set(all.map(({ id }) => id.slice(0, 8)));
      const left = new Set(kept.map(({ id }) => id.slice(0, 8)));
      for (const day of [...days].sort().slice(-30)) expect(left.has(day)).toBe(true);
    }),
  );
});
