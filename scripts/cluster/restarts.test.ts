import { expect, it } from 'vitest';
import { judge, type Life, maxRestarts, restartDelayMs } from './restarts.ts';

const lives = (life: Life) => new Map([['kubelet', life]]);
const none = new Set<string>();

it('leaves daemons alone that run', () => {
  const verdict = judge(lives({ restarts: 2 }), new Set(['kubelet']), 1000);
  expect(verdict).toEqual({ lives: lives({ restarts: 2 }), died: [], due: [] });
});

it('tells of a death once, and of no daemon that was never started', () => {
  const first = judge(lives({ restarts: 0 }), new Set(['etcd']), 1000);
  expect(first).toEqual({ lives: lives({ restarts: 0, diedAt: 1000 }), died: ['kubelet'], due: [] });
  const second = judge(first.lives, none, 1000 + restartDelayMs(0) - 1);
  expect(second).toEqual({ lives: first.lives, died: [], due: [] });
});

it('starts a dead one again after a pause, and counts it', () => {
  const verdict = judge(lives({ restarts: 3, diedAt: 1000 }), none, 1000 + restartDelayMs(3));
  expect(verdict).toEqual({ lives: lives({ restarts: 4 }), died: [], due: ['kubelet'] });
});

it('forgets a death when the daemon runs after all', () => {
  const verdict = judge(lives({ restarts: 0, diedAt: 1000 }), new Set(['kubelet']), 90_000);
  expect(verdict).toEqual({ lives: lives({ restarts: 0 }), died: [], due: [] });
});

it('gives up on one that has died after all its restarts', () => {
  const verdict = judge(lives({ restarts: maxRestarts }), none, 1000);
  expect(verdict).toMatchObject({ died: ['kubelet'], due: [], lost: 'kubelet' });
});

it('pauses longer each time, up to ten seconds', () => {
  expect([0, 1, 2, 3, 4, 5, 20].map(restartDelayMs)).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
});
