import { expect, it } from 'vitest';
import { maxReplays, replayWaits } from './waits.ts';

it('waits grow, whatever the jitter, and end after eight replays', () => {
  const shortest = replayWaits(() => 0);
  const longest = replayWaits(() => 1);
  expect(shortest).toHaveLength(maxReplays);
  expect(maxReplays).toBe(8);
  for (const [index, waitMs] of longest.entries()) {
    expect(Number.isInteger(waitMs)).toBe(true);
    expect(waitMs).toBeGreaterThan(shortest[index] ?? 0);
    expect(waitMs).toBeLessThan(shortest[index + 1] ?? Number.POSITIVE_INFINITY);
  }
  expect([shortest[0], longest[0]]).toEqual([7_500, 12_500]);
});
