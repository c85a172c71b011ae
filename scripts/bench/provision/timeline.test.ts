import { expect, test } from 'vitest';
import { medianSteps } from './timeline.ts';

test('steps are told by their medians, with the time before the first one', () => {
  const timelines = [100, 200, 900].map((beganMs) => [
    { step: 'place', beganMs, endedMs: beganMs + 10 },
    { step: 'ready', beganMs: beganMs + 10, endedMs: beganMs + 1_010 },
  ]);
  expect(medianSteps(timelines)).toEqual([
    { step: '(before the first)', ms: 200, atMs: 0 },
    { step: 'place', ms: 10, atMs: 200 },
    { step: 'ready', ms: 1_000, atMs: 210 },
  ]);
});
