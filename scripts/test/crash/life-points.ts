import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';

/** What changes nothing anywhere. */
const reads =
  /: (SELECT(?! pg_terminate_backend)|BEGIN \+ SELECT|BEGIN|ROLLBACK)\b[^,+]* (before|sent|answered)$|^(GET|HEAD) /;
/** The platform's own records, and the events that are sent from them: one transaction each, the same in every step. */
const ofPlatform = /^platform: |^POST \//;

/** Is the process, at this point, right after a call that changes a database server or the cluster, answered or not? */
export function isAroundExternalWrite({ name }: PassedPoint): boolean {
  return !reads.test(name) && !ofPlatform.test(name) && !name.endsWith(' before');
}

/** Every so many points, and always those around what is written outside the platform's own records. */
export function chosenPoints(points: readonly PassedPoint[], every: number): PassedPoint[] {
  return points.filter((point) => point.number % every === 0 || isAroundExternalWrite(point));
}

/**
 * The points of publishing, from the beginning of its transaction, where it has one, to its end. The tick sends what a request
 * has not sent for a while: another run need not come by them.
 */
export function outboxPoints(points: readonly PassedPoint[]): ReadonlySet<PassedPoint> {
  let isPublishing = false;
  const begins = new Set(
    points.flatMap(({ name, number }) => (/\bSELECT outbox before$/.test(name) ? [number - 3] : [])),
  );
  return new Set(
    points.filter(({ name, number }) => {
      if (begins.has(number) || /\bSELECT outbox before$/.test(name)) isPublishing = true;
      const wasPublishing = isPublishing;
      if (name === 'platform: COMMIT answered') isPublishing = false;
      return wasPublishing || /^platform: UPDATE outbox\b|^POST \//.test(name);
    }),
  );
}

/** At most so many of them, as far apart as they can be. */
export function evenly(points: readonly PassedPoint[], count: number): PassedPoint[] {
  const step = Math.max(1, points.length / count);
  return points.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step)).slice(0, count);
}

/** Random numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * A point, and a later one for the process that goes on after it. That one counts for itself, so the later point is the
 * first of its name there.
 */
export function randomPair(points: readonly PassedPoint[], random: () => number): [PassedPoint, PassedPoint] {
  const first = Math.floor(random() * points.length);
  const later = points.slice(first);
  const one = points[first];
  const other = later[Math.floor(random() * later.length)];
  if (one === undefined || other === undefined) throw new Error('there are no points to choose from');
  return [one, { ...other, occurrence: 1 }];
}
