import { describe, expect, it } from 'vitest';
import { desiredHash } from './apply.ts';

describe('the hash of a wanted object', () => {
  it('does not depend on the order of fields, but on every value', () => {
    const a = { metadata: { name: 'x', labels: { a: '1', b: '2' } } };
    const b = { metadata: { labels: { b: '2', a: '1' }, name: 'x' } };
    expect(desiredHash(a)).toBe(desiredHash(b));
    expect(desiredHash({ metadata: { ...a.metadata, name: 'y' } })).not.toBe(desiredHash(a));
  });
});
