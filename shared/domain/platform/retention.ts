import { type StoredPlatformBackup, timeOfPlatformBackup } from './backup.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** How many of the newest hours and days that have a backup keep their newest one. */
export const platformKeep = { hourly: 48, daily: 30 } as const;

/** Whatever the clock says, so many of the newest whole ones stay. */
const minimumCount = 3;
/** One without a manifest may still be at work for so long. */
const unfinishedMs = 2 * dayMs;

/**
 * Which backups of the platform are given up now, oldest first. Pure. Never: the newest three whole ones, the newest of each of
 * the newest 48 hours and 30 days that have one, and what has no manifest and is younger than two days.
 */
export function givenUpPlatformBackups(backups: readonly StoredPlatformBackup[], now: Date): StoredPlatformBackup[] {
  const newestFirst = backups.filter(({ isWhole }) => isWhole).toSorted((one, other) => (one.id < other.id ? 1 : -1));
  const kept = new Set([
    ...newestFirst.slice(0, minimumCount),
    ...newestOfEach(newestFirst, { count: platformKeep.hourly, lengthMs: hourMs }),
    ...newestOfEach(newestFirst, { count: platformKeep.daily, lengthMs: dayMs }),
  ]);
  const isOld = ({ id }: StoredPlatformBackup) => timeOfPlatformBackup(id).getTime() < now.getTime() - unfinishedMs;
  return backups
    .filter((one) => (one.isWhole ? !kept.has(one) : isOld(one)))
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

function newestOfEach(
  newestFirst: readonly StoredPlatformBackup[],
  { count, lengthMs }: { count: number; lengthMs: number },
): StoredPlatformBackup[] {
  const byBucket = new Map<number, StoredPlatformBackup>();
  for (const one of newestFirst) {
    const bucket = Math.floor(timeOfPlatformBackup(one.id).getTime() / lengthMs);
    if (!byBucket.has(bucket)) byBucket.set(bucket, one);
  }
  return [...byBucket.values()].slice(0, count);
}
