const second = 1_000;
const minute = 60 * second;

// Longer than any rollout at first, then longer than most outages: together about nine hours.
const baseWaitsMs = [
  10 * second,
  30 * second,
  2 * minute,
  5 * minute,
  15 * minute,
  45 * minute,
  2 * 60 * minute,
  6 * 60 * minute,
];

/** How often a transient event goes back by itself. */
export const maxReplays = baseWaitsMs.length;

/**
 * The wait before each replay, whole milliseconds. Each is between 0.75 and 1.25 of its nominal length, so that the
 * hundred events of one rollout do not come back in one moment. `random` gives 0 to 1.
 */
export function replayWaits(random: () => number = Math.random): number[] {
  return baseWaitsMs.map((waitMs) => Math.round(waitMs * (0.75 + random() / 2)));
}
