import { expect, test } from 'vitest';
import { copiesUnder, type Faults } from './faults.ts';

const events = Array.from({ length: 2000 }, (_, n) => ({ source: '/s', id: String(n), type: n % 2 ? 'odd' : 'even' }));
const plan = (faults: Faults, sending = 0): number[][] =>
  events.map((event) => copiesUnder(faults, event, { trigger: 't', sending }));

test('the same seed gives the same faults whatever the order, another seed gives others', () => {
  const faults = { dropPercent: 10, duplicatePercent: 10, delayMs: 50, random: 7 };
  expect(plan(faults)).toEqual(plan(faults));
  const backwards = events.toReversed().map((event) => copiesUnder(faults, event, { trigger: 't', sending: 0 }));
  expect(backwards.toReversed()).toEqual(plan(faults));
  expect(plan({ ...faults, random: 8 })).not.toEqual(plan(faults));
});

test('the shares are about what was asked for', () => {
  const copies = plan({ dropPercent: 10, duplicatePercent: 20, random: 1 });
  const dropped = copies.filter((delays) => delays.length === 0).length;
  const doubled = copies.filter((delays) => delays.length === 2).length;
  expect(dropped).toBeGreaterThan(150);
  expect(dropped).toBeLessThan(250);
  expect(doubled).toBeGreaterThan(280);
  expect(doubled).toBeLessThan(440);
});

test('only the named types are dropped', () => {
  const copies = plan({ dropPercent: 100, dropTypes: ['odd'], random: 1 });
  expect(copies.every((delays, n) => delays.length === (n % 2 ? 0 : 1))).toBe(true);
});

test('an event that was dropped may get through when it is sent again', () => {
  const faults = { dropPercent: 50, random: 3 };
  const [first, second] = [plan(faults, 0), plan(faults, 1)];
  expect(first.some((delays, n) => delays.length === 0 && second[n]?.length === 1)).toBe(true);
});

test('delays stay within their limit and differ', () => {
  const delays = plan({ delayMs: 50, random: 1 }).flat();
  expect(Math.max(...delays)).toBeLessThanOrEqual(50);
  expect(new Set(delays).size).toBeGreaterThan(40);
});

test('a share is held back on top of its delay, as long as it says', () => {
  const delays = plan({ reorderPercent: 20, reorderMs: 700, random: 1 }).flat();
  expect(new Set(delays)).toEqual(new Set([0, 700]));
  const heldBack = delays.filter((delayMs) => delayMs === 700).length;
  expect(heldBack).toBeGreaterThan(320);
  expect(heldBack).toBeLessThan(480);
});
