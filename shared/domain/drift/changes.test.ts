import { describe, expect, test } from 'vitest';
import { type Blindness, changesOf } from './changes.ts';
import type { Finding } from './findings.ts';

const finding = (change: Partial<Finding> = {}): Finding => ({
  kind: 'service-missing',
  subject: 'abcdefgh2345',
  instanceId: 'abcdefgh2345',
  place: 'cluster',
  detail: 'Service odoo-abcdefgh2345',
  ...change,
});
const sighted: Blindness = { places: new Set(), moving: new Set() };

describe('between two passes', () => {
  test('the same is nothing to write', () => {
    expect(changesOf([finding()], [finding()], sighted)).toEqual({ appeared: [], altered: [], gone: [] });
  });

  test('what is new, changed and gone is told apart', () => {
    const [old, same, fresh] = [finding({ subject: 'old' }), finding(), finding({ subject: 'new' })];
    const changed = finding({ detail: 'another' });
    expect(changesOf([old, same], [changed, fresh], sighted)).toEqual({
      appeared: [fresh],
      altered: [changed],
      gone: [old],
    });
  });

  test('a place that could not be read keeps its findings, and only they are kept', () => {
    const there = finding({ subject: 'there', place: 'server one' });
    const here = finding({ subject: 'here' });
    const blind: Blindness = { places: new Set(['server one']), moving: new Set() };
    expect(changesOf([there, here], [], blind).gone).toEqual([here]);
  });

  test('what is known of an instance stays while an operation is at work on it', () => {
    const blind: Blindness = { places: new Set(), moving: new Set(['abcdefgh2345']) };
    expect(changesOf([finding()], [], blind).gone).toEqual([]);
  });

  test('what is known of a server that is no more is over', () => {
    expect(changesOf([finding({ place: 'server gone' })], [], sighted).gone).toHaveLength(1);
  });
});
