import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type InstanceStatus, instanceStatuses } from '#shared/domain/instance/instance.ts';
import { believedAfterMs, decideObservation, type Observed, type Seen } from './observation.ts';

const start = Date.parse('2027-01-31T10:00:00Z');
const at = (ms: number) => new Date(start + ms);
const running: Observed = {
  status: 'running',
  desiredState: 'running',
  suspensions: [],
  generation: 3,
  observedGeneration: 3,
  isAtWork: false,
  note: null,
};
const available: Seen = { what: 'available' };
const unavailable: Seen = { what: 'unavailable', reason: 'no pods' };
const gone: Seen = { what: 'gone', reason: 'deleted' };

/** The statuses an instance goes through. */
function changes(first: Observed, news: readonly (readonly [ms: number, seen: Seen | undefined])[]) {
  let instance = first;
  const seen: InstanceStatus[] = [];
  for (const [ms, what] of news) {
    const { after, change } = decideObservation(instance, what, at(ms));
    if (change !== undefined) seen.push(change.to);
    instance = after;
  }
  return { seen, instance };
}

describe('bad news', () => {
  test('is noted first, and believed when it has stood for two seconds', () => {
    const noted = changes(running, [[0, unavailable]]);
    expect(noted).toEqual({
      seen: [],
      instance: { ...running, note: { what: 'unavailable', reason: 'no pods', at: at(0) } },
    });
    expect(changes(noted.instance, [[believedAfterMs - 1, undefined]]).seen).toEqual([]);
    expect(changes(noted.instance, [[believedAfterMs, undefined]])).toEqual({
      seen: ['error'],
      instance: { ...running, status: 'error' },
    });
  });

  test('stands since the first of it, and the newest of it counts', () => {
    expect(
      changes(running, [
        [0, unavailable],
        [1_500, gone],
        [2_000, undefined],
      ]).seen,
    ).toEqual(['missing']);
  });

  test('of what is known is no news', () => {
    const error = { ...running, status: 'error' } as const;
    expect(changes(error, [[0, unavailable]])).toEqual({ seen: [], instance: error });
  });

  test('that an error has become a missing Deployment waits, too', () => {
    const error = { ...running, status: 'error' } as const;
    expect(
      changes(error, [
        [0, gone],
        [2_000, gone],
      ]).seen,
    ).toEqual(['missing']);
  });
});

describe('good news', () => {
  test('within two seconds makes a flap nothing', () => {
    const { seen, instance } = changes(running, [
      [0, unavailable],
      [1_999, available],
      [5_000, undefined],
    ]);
    expect(seen).toEqual([]);
    expect(instance).toEqual(running);
  });

  test('counts at once, and a flap after it makes no more changes', () => {
    const error = { ...running, status: 'error' } as const;
    const news = [available, unavailable, available].map((seen, index) => [index, seen] as const);
    expect(changes(error, news).seen).toEqual(['running']);
  });

  test('clears bad news that nobody came to believe: what is over is not announced', () => {
    expect(
      changes(running, [
        [0, unavailable],
        [9_000, available],
      ]),
    ).toEqual({ seen: [], instance: running });
  });

  test('does not start an instance that is not wanted running', () => {
    const missing = { ...running, status: 'missing', suspensions: ['billing'] } as const;
    expect(changes(missing, [[0, available]]).seen).toEqual([]);
  });
});

test('what is seen while an operation is at work or not settled yet leaves the status alone and clears what was noted', () => {
  const note = { what: 'gone', reason: 'deleted', at: at(-9_000) } as const;
  for (const change of [{ isAtWork: true }, { generation: 4 }]) {
    const instance = { ...running, ...change, note };
    for (const seen of [available, unavailable, gone, undefined]) {
      expect(changes(instance, [[0, seen]])).toEqual({ seen: [], instance: { ...instance, note: null } });
    }
  }
});

const anySeen = fc.constantFrom(available, unavailable, gone, undefined);
const anyInstance = fc
  .record({
    status: fc.constantFrom(...instanceStatuses),
    desiredState: fc.constantFrom('running', 'stopped', 'terminated'),
    suspensions: fc.subarray(['billing', 'abuse'] as const),
    generation: fc.integer({ min: 1, max: 3 }),
    isAtWork: fc.boolean(),
  })
  .chain((fields) =>
    fc.integer({ min: 0, max: fields.generation }).map((observedGeneration) => ({ ...fields, observedGeneration })),
  )
  .map((fields): Observed => ({ ...fields, note: null }));
const anyNews = fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), anySeen), { maxLength: 200 });

test('no observations, in any order and however often, make an instance stopped or take it out of a resting state', () => {
  const kept: readonly InstanceStatus[] = [
    'stopped',
    'suspended',
    'terminated',
    'maintenance',
    'terminating',
    'updating',
  ];
  fc.assert(
    fc.property(anyInstance, anyNews, (first, news) => {
      let ms = 0;
      const { seen, instance } = changes(
        first,
        news.map(([pauseMs, what]) => {
          ms += pauseMs;
          return [ms, what] as const;
        }),
      );
      if (kept.includes(first.status)) expect(seen).toEqual([]);
      expect(seen.filter((status) => !['running', 'error', 'missing'].includes(status))).toEqual([]);
      expect({ ...instance, status: first.status, note: null }).toEqual(first);
    }),
  );
});
