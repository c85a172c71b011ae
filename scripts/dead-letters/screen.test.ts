import { expect, it } from 'vitest';
import { printable, table } from './screen.ts';

it('columns are as wide as their widest cell', () => {
  expect(
    table([
      ['A', 'BC'],
      ['long', 'd'],
    ]),
  ).toBe('A     BC\nlong  d');
});

it('shows what would move the cursor as escapes', () => {
  expect(printable('a\u001b[2Jb\r\n\u202ec')).toBe('a\\u001b[2Jb\\u000d\\u000a\\u202ec');
  expect(printable('a\n\tb\u0007', { keepLines: true })).toBe('a\n\tb\\u0007');
});
