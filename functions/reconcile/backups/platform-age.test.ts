import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { platformBackupId, platformKeys } from '#shared/domain/platform/backup.ts';
import { makePlatformAge, makePlatformBackupGauge } from './platform-age.ts';

const name = 'fleet_platform_backup_last_timestamp_seconds';
const start = new Date('2026-11-22T06:00:00Z');
const minutesOn = (minutes: number) => new Date(start.getTime() + minutes * 60_000);
const keysAt = (at: Date) => Object.values(platformKeys(platformBackupId(at, '00000000')));

/** What it shows of a store that holds `keys`, one after the other on pages of two. */
function shownOf(keys: string[]) {
  const registry = new Registry();
  const clock = { now: start };
  let looks = 0;
  const store = {
    async list({ prefix, after = '' }: { prefix: string; after?: string | undefined }) {
      if (after === '') looks += 1;
      if (keys.includes('refused')) throw new Error('the store does not answer');
      const page = keys.filter((key) => key.startsWith(prefix) && key > after).toSorted();
      return { keys: page.slice(0, 2), next: page.length > 2 ? page[1] : undefined };
    },
  };
  const look = makePlatformAge({ store, show: makePlatformBackupGauge(registry), now: () => clock.now });
  const value = async () => /^fleet_platform_\S+ (\d+)$/m.exec(await registry.getSingleMetricAsString(name))?.[1];
  return { look, value, clock, looks: () => looks };
}

test('the newest backup of the platform with a manifest counts, on whichever page of the store it is', async () => {
  const [, halfMade = ''] = [...keysAt(minutesOn(-1)).toReversed()];
  const { look, value } = shownOf([
    ...[-300, -60, -120, -180].flatMap((minutes) => keysAt(minutesOn(minutes))),
    halfMade,
    'platform/stray',
  ]);
  expect(await value()).toBeUndefined();
  await look();
  expect(Number(await value())).toBe(minutesOn(-60).getTime() / 1000);
});

test('one that names a time to come hides no old one, and a store without any shows 0', async () => {
  const strange = shownOf([...keysAt(minutesOn(-90)), ...keysAt(minutesOn(60 * 24 * 365))]);
  await strange.look();
  expect(Number(await strange.value())).toBe(minutesOn(-90).getTime() / 1000);
  const empty = shownOf(['backups/x/y/manifest']);
  await empty.look();
  expect(await empty.value()).toBe('0');
});

test('the store is looked into every five minutes, also when it does not answer, and what was seen last stays', async () => {
  const keys = keysAt(minutesOn(-60));
  const { look, value, clock, looks } = shownOf(keys);
  await look();
  clock.now = minutesOn(4);
  await look();
  expect(looks()).toBe(1);
  keys.push('refused', ...keysAt(minutesOn(1)));
  clock.now = minutesOn(5);
  await expect(look()).rejects.toThrow('does not answer');
  await look();
  expect(looks()).toBe(2);
  expect(Number(await value())).toBe(minutesOn(-60).getTime() / 1000);
  keys.splice(keys.indexOf('refused'), 1);
  clock.now = minutesOn(10);
  await look();
  expect(Number(await value())).toBe(minutesOn(1).getTime() / 1000);
});
