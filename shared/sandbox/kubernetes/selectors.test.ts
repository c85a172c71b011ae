import { describe, expect, it } from 'vitest';
import { findResource } from './resources.ts';
import { fieldSelector, labelSelector } from './selectors.ts';

const object = (labels: Record<string, string>) => ({
  metadata: { name: 'one', labels },
  status: { phase: 'Running' },
});

describe('a label selector', () => {
  it.each([
    ['a=b', { a: 'b' }, true],
    ['a=b', { a: 'c' }, false],
    ['a==b', { a: 'b' }, true],
    ['a=', { a: '' }, true],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a in (b, c)', { a: 'c' }, true],
    ['a in (b,c)', {}, false],
    ['a notin (b)', {}, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['a in (b,c),d=e,!f', { a: 'b', d: 'e' }, true],
    ['a in (b,c),d=e,!f', { a: 'b', d: 'e', f: '' }, false],
    ['example.com/part-of=x', { 'example.com/part-of': 'x' }, true],
    ['', {}, true],
  ])('%s and labels %j: %s', (text, labels, expected) => {
    expect(labelSelector(text)(object(labels))).toBe(expected);
  });

  it.each(['a===b', 'a in b', 'a b', ',', 'a=b,', '=b', 'a=b c', 'a in (b', '/x=1'])('refuses %j', (text) => {
    expect(() => labelSelector(text)).toThrow('not a label selector');
  });
});

describe('a field selector', () => {
  const pods = findResource('', 'v1', 'pods');
  if (!pods) throw new Error('pods are not in the list');

  it('compares the fields a kind offers', () => {
    expect(fieldSelector('metadata.name=one,status.phase!=Failed', pods)(object({}))).toBe(true);
    expect(fieldSelector('status.phase==Failed', pods)(object({}))).toBe(false);
    expect(fieldSelector('spec.nodeName=', pods)(object({}))).toBe(true);
  });

  it('refuses others', () => {
    expect(() => fieldSelector('spec.containers=x', pods)).toThrow('field label not supported: spec.containers');
    expect(() => fieldSelector('nonsense', pods)).toThrow("can't understand 'nonsense'");
  });
});
