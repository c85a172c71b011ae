import type { Backup, BackupKind } from './backup.ts';

const dayMs = 86_400_000;

/** How many of the newest days, weeks and months that have a backup keep their newest one. */
export type KeepCounts = { daily: number; weekly: number; monthly: number };

/** No fewer than so many good backups of an instance are left, whatever the plan says. */
const minimumCount = 3;

/** Days that backups of a kind are kept at least, whatever else there is. */
const minimumDays: Readonly<Record<BackupKind, number>> = {
  scheduled: 0,
  manual: 30,
  'before-upgrade': 14,
  'before-restore': 14,
  final: 90,
};

/** A refuted one may still be of use to a person who looks into why. */
const refutedDays = 14;
/** What a failed one has left in the store: its operation may be retried that long. */
const failedDays = 3;
/** After the purge of its instance nothing but its final backups is kept, and those for so long. */
const finalDaysAfterPurge = 90;

/** A backup, as retention looks at it. */
export type RetainedBackup = Pick<
  Backup,
  'id' | 'kind' | 'state' | 'startedAt' | 'finishedAt' | 'snapshotAt' | 'keepUntil' | 'lockedUntil'
> & {
  proof: Backup['proof']['state'];
  /** Being verified, or read by another operation. */
  isInUse: boolean;
};

export type GivenUp = { id: string; reason: 'retention' | 'refuted' | 'failed' | 'purged' };

export type RetentionInput = { backups: readonly RetainedBackup[]; keep: KeepCounts; purgedAt: Date | null; now: Date };

type Point = { id: string; at: Date };

/** Monday of the week that a day is in, as a number of days since 1970 (a Thursday). */
const weekOf = (at: Date) => Math.floor((Math.floor(at.getTime() / dayMs) + 3) / 7);
const dayOf = (at: Date) => at.toISOString().slice(0, 10);
const monthOf = (at: Date) => at.toISOString().slice(0, 7);

/** The newest of each of the newest `count` buckets. `points` are newest first. */
function newestOfEach(points: readonly Point[], count: number, bucketOf: (at: Date) => string | number): string[] {
  const seen = new Map<string | number, string>();
  for (const { id, at } of points) {
    const bucket = bucketOf(at);
    if (!seen.has(bucket)) seen.set(bucket, id);
  }
  return [...seen.values()].slice(0, count);
}

/**
 * What grandfather-father-son keeps of these points: the newest of each of the newest days, weeks (from Monday) and
 * months that have one, in UTC. Whoever applies it every day keeps what he would have kept of all there ever was.
 */
export function keptByGenerations(points: readonly Point[], keep: KeepCounts): Set<string> {
  const newestFirst = [...points].sort(byAge);
  return new Set([
    ...newestOfEach(newestFirst, keep.daily, dayOf),
    ...newestOfEach(newestFirst, keep.weekly, weekOf),
    ...newestOfEach(newestFirst, keep.monthly, monthOf),
  ]);
}

function byAge(one: Point, other: Point): number {
  return other.at.getTime() - one.at.getTime() || (one.id < other.id ? 1 : -1);
}

const pointOf = (backup: RetainedBackup): Point => ({ id: backup.id, at: backup.snapshotAt ?? backup.startedAt });
const isPast = (at: Date | null, days: number, now: Date): boolean =>
  at === null || now.getTime() >= at.getTime() + days * dayMs;

/** May it be touched at all? Only what has ended, is in nobody's hands, and is held by no date. */
function isFree(backup: RetainedBackup, now: Date): boolean {
  const isHeld = (until: Date | null) => until !== null && until > now;
  const hasEnded = backup.state === 'succeeded' || backup.state === 'failed';
  return hasEnded && !backup.isInUse && !isHeld(backup.keepUntil) && !isHeld(backup.lockedUntil);
}

/** The newest, the newest proven, and as many of the newest as are left in any case. */
function untouchable(good: readonly RetainedBackup[]): Set<string> {
  const newestFirst = [...good].sort((one, other) => byAge(pointOf(one), pointOf(other)));
  const proven = newestFirst.find(({ proof }) => proof === 'proven');
  return new Set(
    [...newestFirst.slice(0, minimumCount), ...(proven === undefined ? [] : [proven])].map(({ id }) => id),
  );
}

/**
 * What of an instance's backups is given up now. Pure.
 *
 * Only good ones count: succeeded and not refuted. Never given up: what runs, is in use, locked or held; the newest good
 * one; the newest proven one; the newest three; what the generations keep; what is younger than its kind's minimum; and
 * anything good at all while none is proven. Of an instance that was purged nothing is kept but final backups, for 90
 * days.
 */
export function retain(input: RetentionInput): GivenUp[] {
  const { backups, now } = input;
  const free = backups.filter((backup) => isFree(backup, now));
  const failed = free.filter(({ state, finishedAt }) => state === 'failed' && isPast(finishedAt, failedDays, now));
  const ended = failed.map(({ id }): GivenUp => ({ id, reason: 'failed' }));
  if (input.purgedAt !== null) return [...ended, ...afterPurge(free, { purgedAt: input.purgedAt, now })];

  const succeeded = backups.filter(({ state }) => state === 'succeeded');
  const good = succeeded.filter(({ proof }) => proof !== 'refuted');
  if (!good.some(({ proof }) => proof === 'proven')) return ended;
  const kept = new Set([...untouchable(good), ...keptByGenerations(good.map(pointOf), input.keep)]);
  const given = free
    .filter(({ state, kind, finishedAt }) => state === 'succeeded' && isPast(finishedAt, minimumDays[kind], now))
    .flatMap(({ id, proof, finishedAt }): GivenUp[] => {
      if (proof === 'refuted') return isPast(finishedAt, refutedDays, now) ? [{ id, reason: 'refuted' }] : [];
      return kept.has(id) ? [] : [{ id, reason: 'retention' }];
    });
  return [...ended, ...given];
}

/**
 * When retention may remove a backup of an instance that was purged at `purgedAt`; null: at its next turn. What the store
 * has locked stays longer.
 */
export function keptAfterPurge(
  backup: Pick<Backup, 'kind' | 'state' | 'finishedAt' | 'keepUntil'>,
  purgedAt: Date,
): Date | null {
  const after = (at: Date | null, days: number) => (at === null ? [] : [new Date(at.getTime() + days * dayMs)]);
  const times = [
    ...(backup.state === 'failed' ? after(backup.finishedAt, failedDays) : []),
    ...(backup.state === 'succeeded' && backup.kind === 'final' ? after(purgedAt, finalDaysAfterPurge) : []),
    ...after(backup.keepUntil, 0),
  ].filter((at) => at > purgedAt);
  return times.length === 0 ? null : new Date(Math.max(...times.map(Number)));
}

function afterPurge(free: readonly RetainedBackup[], time: { purgedAt: Date; now: Date }): GivenUp[] {
  const { purgedAt, now } = time;
  return free
    .filter(
      ({ state, kind }) => state === 'succeeded' && (kind !== 'final' || isPast(purgedAt, finalDaysAfterPurge, now)),
    )
    .map(({ id }): GivenUp => ({ id, reason: 'purged' }));
}
