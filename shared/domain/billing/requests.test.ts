import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Wish } from './policy.ts';
import { type InstanceFacts, type LastRequest, nextRequest } from './requests.ts';

function facts(change: Partial<InstanceFacts> = {}): InstanceFacts {
  return {
    presence: 'own',
    isTerminated: false,
    isSuspended: false,
    last: undefined,
    wantsMade: 'nothing',
    isPayment: false,
    ...change,
  };
}
function last(kind: LastRequest['kind'], change: Partial<LastRequest> = {}): LastRequest {
  return {
    kind,
    isSuspended: false,
    isTerminated: false,
    isSettled: true,
    isRefused: false,
    isJoined: false,
    ...change,
  };
}
const suspended = last('suspend', { isSuspended: true });
const terminated = last('terminate', { isTerminated: true });

const kindOf = (wish: Wish, of: Partial<InstanceFacts>) => nextRequest(wish, facts(of))?.kind;

describe('what is asked for', () => {
  test.each<[Wish, string, Partial<InstanceFacts>, string | undefined]>([
    ['run', 'nothing was asked', {}, undefined],
    ['keep', 'nothing was asked', {}, undefined],
    ['suspend', 'nothing was asked', {}, 'suspend'],
    ['terminate', 'nothing was asked', {}, 'terminate'],
    ['run', 'it is suspended', { last: suspended }, 'resume'],
    ['keep', 'it is suspended', { last: suspended }, undefined],
    ['suspend', 'it is suspended', { last: suspended, isSuspended: true }, undefined],
    ['suspend', 'somebody has lifted its suspension', { last: suspended }, 'suspend'],
    ['suspend', 'its suspension is on its way', { last: { ...suspended, isSettled: false } }, undefined],
    ['suspend', 'its suspension was refused', { last: { ...suspended, isRefused: true } }, undefined],
    ['terminate', 'it is suspended', { last: suspended }, 'terminate'],
    ['suspend', 'it was resumed', { last: last('resume') }, 'suspend'],
    ['run', 'billing has ended it', { last: terminated, isTerminated: true }, 'undo'],
    ['keep', 'billing has ended it', { last: terminated, isTerminated: true }, undefined],
    ['suspend', 'billing has ended it', { last: terminated, isTerminated: true }, undefined],
    ['terminate', 'billing has ended it', { last: terminated, isTerminated: true }, undefined],
    ['run', 'a person has ended it', { isTerminated: true }, undefined],
    ['suspend', 'a person has ended it', { isTerminated: true }, undefined],
    ['terminate', 'a person has ended it', { isTerminated: true }, undefined],
    ['run', 'it came back suspended', { last: last('undo', { isSuspended: true }) }, 'resume'],
    ['run', 'its suspension is an operator’s', { isSuspended: true }, undefined],
    ['run', 'its suspension is an operator’s and it was paid', { isSuspended: true, isPayment: true }, 'resume'],
  ])('%s, when %s', (wish, _, of, kind) => {
    expect(kindOf(wish, of)).toBe(kind);
  });

  test('a termination and its undoing wait for each other, since neither carries an order', () => {
    const unsettled = { ...terminated, isSettled: false };
    expect(kindOf('run', { last: unsettled })).toBeUndefined();
    expect(kindOf('terminate', { last: last('undo', { isSettled: false }) })).toBeUndefined();
  });

  test('nothing of another customer’s instance', () => {
    for (const wish of ['run', 'keep', 'suspend', 'terminate'] as const) {
      expect(
        kindOf(wish, { presence: 'foreign', wantsMade: 'anew', last: suspended, isPayment: true }),
      ).toBeUndefined();
    }
  });
});

describe('an instance that is not there', () => {
  test('is made when it may run and its configuration is known', () => {
    expect(kindOf('run', { presence: 'absent', wantsMade: 'anew' })).toBe('provision');
    expect(kindOf('run', { presence: 'absent' })).toBeUndefined();
    for (const wish of ['keep', 'suspend', 'terminate'] as const) {
      expect(kindOf(wish, { presence: 'absent', wantsMade: 'anew' })).toBeUndefined();
    }
  });

  test('is asked for once; after a refusal again when what is asked for has changed', () => {
    const asked = last('provision');
    expect(kindOf('run', { presence: 'absent', wantsMade: 'as-asked', last: asked })).toBeUndefined();
    expect(kindOf('run', { presence: 'absent', wantsMade: 'anew', last: asked })).toBe('provision');
    const unsettled = { ...asked, isSettled: false };
    expect(kindOf('run', { presence: 'absent', wantsMade: 'anew', last: unsettled })).toBeUndefined();
  });
});

test('whatever a refusal leaves, the same wish is asked for once', () => {
  const wishes = fc.constantFrom<Wish>('run', 'keep', 'suspend', 'terminate');
  const any = fc.record({
    presence: fc.constantFrom('absent', 'own', 'foreign'),
    isTerminated: fc.boolean(),
    isSuspended: fc.constant(false),
    isPayment: fc.boolean(),
    wantsMade: fc.constantFrom('nothing', 'anew'),
    last: fc.option(fc.constantFrom(suspended, terminated, last('resume'), last('undo'), last('provision')), {
      nil: undefined,
    }),
  }) as fc.Arbitrary<InstanceFacts>;
  fc.assert(
    fc.property(wishes, any, (wish, before) => {
      let now = before;
      let asked = 0;
      // refused each time: nothing of the instance changes but what billing believes
      for (let round = 0; round < 5; round += 1) {
        const next = nextRequest(wish, now);
        if (next === undefined) continue;
        asked += 1;
        now = { ...now, wantsMade: 'as-asked', last: { ...next, isSettled: true, isRefused: true, isJoined: true } };
      }
      // an undo may be followed by the resume it was waited with
      expect(asked).toBeLessThanOrEqual(2);
    }),
  );
});
