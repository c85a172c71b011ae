import { describe, expect, it } from 'vitest';
import { beginningOf, rangeOf } from './range.ts';

describe('a range of bytes', () => {
  it.each([
    [undefined, 'whole'],
    ['bytes=0-', { first: 0, last: 99 }],
    ['bytes=10-', { first: 10, last: 99 }],
    ['bytes=10-19', { first: 10, last: 19 }],
    ['bytes=10-1000', { first: 10, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=20-10', 'whole'],
    ['bytes=-', 'whole'],
    ['bytes=0-1,5-6', 'whole'],
    ['lines=1-2', 'whole'],
  ])('of 100 bytes, asked by %j', (header, expected) => {
    expect(rangeOf(header, 100)).toEqual(expected);
  });

  it.each([1, 3, 4, 10])('of %i bytes is the beginning of a stream', async (count) => {
    async function* digits(): AsyncGenerator<Buffer> {
      for (const piece of ['012', '', '3', '456789']) yield Buffer.from(piece);
    }
    const pieces: Buffer[] = [];
    for await (const piece of beginningOf(digits(), count)) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('0123456789'.slice(0, count));
  });
});
