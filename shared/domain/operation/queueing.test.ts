import { describe, expect, test } from 'vitest';
import { type OperationKind, operationKinds } from './operation.ts';
import { queue, queueLimit, relationOf, relations, type UnfinishedOperation } from './queueing.ts';

const unfinished = (kind: OperationKind, cause: string | null = null, id: string = kind): UnfinishedOperation => ({
  hasBegun: false,
  id,
  kind,
  cause,
});

const cells = operationKinds.flatMap((requested) =>
  Object.entries(relations[requested]).map(([other, relation]) => ({
    requested,
    other: other as OperationKind,
    relation,
  })),
);

describe('each cell of the table of kinds that is not "wait"', () => {
  test.each(cells)('$requested over an unfinished $other: $relation', ({ requested, other, relation }) => {
    const one = unfinished(other);
    const decided = queue({ kind: requested, cause: null }, [one]);
    if (relation === 'cancel') expect(decided).toEqual({ decision: 'enter', overtakes: [one] });
    if (relation === 'refuse') expect(decided).toEqual({ decision: 'refuse', because: one });
    if (relation === 'coalesce') expect(decided).toEqual({ decision: 'coalesce', with: one });
  });

  test('there are as many as the table has, and every other pair waits', () => {
    expect(cells).toHaveLength(98);
    const others = operationKinds.flatMap((requested) =>
      operationKinds.filter((other) => relationOf(requested, other) === 'wait').map((other) => ({ requested, other })),
    );
    expect(others).toHaveLength(operationKinds.length ** 2 - cells.length);
    for (const { requested, other } of others) {
      expect(queue({ kind: requested, cause: null }, [unfinished(other)])).toEqual({
        decision: 'enter',
        overtakes: [],
      });
    }
  });
});

describe('one answers for both', () => {
  test('only when nothing was asked since', () => {
    const decided = queue({ kind: 'start', cause: null }, [unfinished('start'), unfinished('restart')]);
    expect(decided).toEqual({ decision: 'enter', overtakes: [] });
  });

  test('only for the same reason', () => {
    const billing = unfinished('suspend', 'billing');
    expect(queue({ kind: 'suspend', cause: 'billing' }, [billing])).toEqual({ decision: 'coalesce', with: billing });
    expect(queue({ kind: 'suspend', cause: 'abuse' }, [billing])).toMatchObject({ decision: 'enter' });
  });
});

test('a restart or a backup that has begun is not the one that is asked for', () => {
  for (const kind of ['restart', 'backup'] as const) {
    const begun = { ...unfinished(kind), hasBegun: true };
    expect(queue({ kind, cause: null }, [begun])).toEqual({ decision: 'enter', overtakes: [] });
  }
  const start = { ...unfinished('start'), hasBegun: true };
  expect(queue({ kind: 'start', cause: null }, [start])).toEqual({ decision: 'coalesce', with: start });
});

describe('a backup', () => {
  test('gives way to what must not wait for it, and only to that', () => {
    const overtakers = operationKinds.filter((kind) => relationOf(kind, 'backup') === 'cancel');
    expect(overtakers).toEqual(['suspend', 'terminate', 'undo']);
  });

  test.each(['start', 'stop', 'restart', 'resume', 'restore'] as const)(
    'that only the clock has asked for gives way to a %s; one that somebody wanted does not',
    (kind) => {
      const [nightly, wanted] = [unfinished('backup', 'scheduled'), unfinished('backup', 'before-upgrade')];
      expect(queue({ kind, cause: null }, [nightly])).toEqual({ decision: 'enter', overtakes: [nightly] });
      expect(queue({ kind, cause: null }, [wanted])).toEqual({ decision: 'enter', overtakes: [] });
    },
  );

  test('is made of what a termination leaves, before a purge takes that', () => {
    expect(relationOf('backup', 'terminate')).toBe('wait');
    expect(relationOf('purge', 'backup')).toBe('wait');
    expect(relationOf('purge', 'verify')).toBe('wait');
  });

  test('answers for another of its kind only', () => {
    const nightly = unfinished('backup', 'scheduled');
    expect(queue({ kind: 'backup', cause: 'scheduled' }, [nightly])).toEqual({ decision: 'coalesce', with: nightly });
    expect(queue({ kind: 'backup', cause: 'manual' }, [nightly])).toEqual({ decision: 'enter', overtakes: [] });
  });
});

test('a verification gives way to whatever changes the instance', () => {
  const overtakers = operationKinds.filter((kind) => relationOf(kind, 'verify') === 'cancel');
  expect(overtakers).toEqual([
    'start',
    'stop',
    'restart',
    'suspend',
    'resume',
    'terminate',
    'undo',
    'repair',
    'restore',
    'export',
  ]);
});

describe('a termination that is to be undone', () => {
  const undone = [unfinished('terminate'), unfinished('undo')];

  test.each(['start', 'stop', 'restart', 'suspend', 'resume'] as const)(
    'refuses no %s: it comes after the undo',
    (kind) => {
      expect(queue({ kind, cause: null }, undone)).toEqual({ decision: 'enter', overtakes: [] });
      const again = unfinished('terminate');
      expect(queue({ kind, cause: null }, [...undone, again])).toEqual({ decision: 'refuse', because: again });
    },
  );

  test('leaves it to the undo to keep a purge and a repair away', () => {
    for (const kind of ['purge', 'repair'] as const) {
      expect(queue({ kind, cause: null }, undone)).toEqual({ decision: 'refuse', because: undone[1] });
    }
  });
});

describe('the queue of an instance', () => {
  const waiting = Array.from({ length: queueLimit }, (_, index) =>
    unfinished(index % 2 === 0 ? 'resume' : 'stop', index % 2 === 0 ? 'billing' : null, `operation ${index}`),
  );

  test('ends at its limit', () => {
    expect(queue({ kind: 'restart', cause: null }, waiting)).toEqual({ decision: 'refuse', because: 'queue-full' });
    expect(queue({ kind: 'restart', cause: null }, waiting.slice(1))).toMatchObject({ decision: 'enter' });
  });

  test('has no end for what keeps an instance from running, and for what lifts that', () => {
    expect(queue({ kind: 'suspend', cause: 'abuse' }, waiting)).toMatchObject({ decision: 'enter' });
    expect(queue({ kind: 'resume', cause: 'abuse' }, waiting)).toMatchObject({ decision: 'enter' });
  });

  test('has room for whatever clears it', () => {
    expect(queue({ kind: 'terminate', cause: null }, waiting)).toEqual({ decision: 'enter', overtakes: waiting });
  });
});
