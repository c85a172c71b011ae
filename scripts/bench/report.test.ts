import { expect, test } from 'vitest';
import { type Goal, isMet, render, renderTable, shown } from './report.ts';

const goal: Goal = { what: 'ratio', measured: 2, limit: 1.7, unit: 'x', is: 'at least' };

test('a goal is met on its line, and missed by what was not measured', () => {
  expect(isMet(goal)).toBe(true);
  expect(isMet({ ...goal, measured: 1.7 })).toBe(true);
  expect(isMet({ ...goal, measured: 1.69 })).toBe(false);
  expect(isMet({ ...goal, is: 'at most' })).toBe(false);
  expect(isMet({ ...goal, measured: Number.NaN })).toBe(false);
  expect(isMet({ ...goal, is: 'at most', measured: Number.NaN })).toBe(false);
});

test('numbers keep about three digits', () => {
  expect([12_345.6, 123.4, 12.34, 1.234, 0.1234, 0].map(shown)).toEqual([
    '12,346',
    '123',
    '12.3',
    '1.23',
    '0.123',
    '0',
  ]);
  expect(shown(Number.NaN)).toBe('-');
  expect(shown('as it is')).toBe('as it is');
});

test('tables align names left and numbers right', () => {
  const rows = [
    ['a', 1],
    ['longer', 1234],
  ];
  expect(renderTable({ columns: ['arm', 'ms'], rows })).toBe('    arm        ms\n    a        1.00\n    longer  1,234');
});

test('a report says plainly which goal is missed', () => {
  const text = render({
    name: 'event',
    about: 'three hosts',
    tables: [{ title: 'medians', columns: ['arm', 'requests/s'], rows: [['serve()', 20_000]] }],
    goals: [goal, { ...goal, what: 'other', measured: 1 }],
    notes: ['wrk was used'],
  });
  expect(text).toContain('event: three hosts');
  expect(text).toMatch(/ratio +2\.00 x +at least 1\.70 x +met/);
  expect(text).toMatch(/other +1\.00 x +at least 1\.70 x +MISSED/);
  expect(text).toContain('  wrk was used');
});
