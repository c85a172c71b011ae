import { describe, expect, it } from 'vitest';
import { intentOf, intentOfAll } from './intent.ts';
import { driftKinds, ruleOf } from './policy.ts';

const facts = { kind: 'service-missing', isMoving: false, isBlocked: false, isRepairable: true };

describe('what comes of a finding', () => {
  it.each([
    ['repair', {}],
    ['wait', { isMoving: true, isBlocked: true }],
    ['blocked', { isBlocked: true }],
    ['report', { isRepairable: false }],
    ['report', { kind: 'database-missing', isMoving: true }],
    ['report', { kind: 'purge-due' }],
    ['report', { kind: 'of-another-version' }],
    ['quarantine', { kind: 'orphan-database', isRepairable: false }],
    ['correct', { kind: 'server-count-wrong', isRepairable: false }],
  ])('is %s for %j', (intent, change) => {
    expect(intentOf({ ...facts, ...change })).toBe(intent);
  });

  it('is never a repair of what only a person may decide', () => {
    for (const kind of driftKinds.filter((one) => ruleOf(one)?.policy !== 'repair')) {
      expect(intentOf({ ...facts, kind }), kind).not.toMatch(/repair|wait|blocked|correct/);
    }
  });
});

describe('what comes of all that is amiss about an instance', () => {
  it('is a repair as soon as one thing can be repaired, and nothing while an operation is at work', () => {
    expect(intentOfAll([])).toBe('none');
    expect(intentOfAll(['report', 'repair'])).toBe('repair');
    expect(intentOfAll(['repair', 'wait'])).toBe('wait');
    expect(intentOfAll(['report', 'blocked'])).toBe('blocked');
  });
});
