import { expect, test } from 'vitest';
import { openCounter, type PassedPoint, type Stop } from './counter.ts';

function passing(...stops: Stop[]) {
  const points: PassedPoint[] = [];
  const halts: string[] = [];
  /** What had been noted last when it halted. */
  const noted: (PassedPoint | undefined)[] = [];
  const halt = (signal: string) => {
    halts.push(signal);
    noted.push(points.at(-1));
  };
  const counter = openCounter({ stops, record: (point) => points.push(point), halt });
  return { counter, points, halts, noted };
}

test('nothing is counted before the counter is armed', () => {
  const { counter, points } = passing();
  counter.pass('a');
  counter.arm();
  counter.pass('b', 'status 200');
  expect(points).toEqual([{ number: 1, name: 'b', occurrence: 1, detail: 'status 200' }]);
});

test('points are numbered in order and counted per name', () => {
  const { counter, points } = passing();
  counter.arm();
  for (const name of ['a', 'b', 'a']) counter.pass(name);
  expect(points.map(({ number, name, occurrence }) => [number, name, occurrence])).toEqual([
    [1, 'a', 1],
    [2, 'b', 1],
    [3, 'a', 2],
  ]);
});

test('it halts at the n-th point of the name, after noting it, and once', () => {
  const { counter, halts, noted } = passing({ name: 'a', occurrence: 2, signal: 'SIGSTOP' });
  counter.arm();
  for (const name of ['a', 'b', 'a', 'a']) counter.pass(name);
  expect(noted).toMatchObject([{ name: 'a', occurrence: 2 }]);
  expect(halts).toEqual(['SIGSTOP']);
});

test('it may stand still at one point and end at a later one', () => {
  const { counter, halts } = passing(
    { name: 'a', occurrence: 1, signal: 'SIGSTOP' },
    { name: 'a', occurrence: 2, signal: 'SIGKILL' },
  );
  counter.arm();
  for (const name of ['a', 'b', 'a', 'a']) counter.pass(name);
  expect(halts).toEqual(['SIGSTOP', 'SIGKILL']);
});
