import { expect, test } from 'vitest';
import { type Askable, requestsOf, waitAfter } from './requests.ts';

const finding = (change: Partial<Askable> = {}): Askable => ({
  instanceId: 'abcdefgh2345',
  kind: 'deployment-missing',
  repairs: 0,
  firstSeen: new Date('2026-01-01T00:00:00Z'),
  isDue: true,
  ...change,
});
const repairs = (...findings: Askable[]) => requestsOf(findings, { what: 'repair', atMost: 10 });

test('waits grow from a minute to an hour for repairs, from an hour to a day for purges, and no further', () => {
  expect([1, 2, 3, 6, 7, 8, 500].map((requests) => waitAfter(requests) / 60_000)).toEqual([1, 2, 4, 32, 60, 60, 60]);
  expect([1, 2, 5, 6, 500].map((requests) => waitAfter(requests, 'purge') / 3_600_000)).toEqual([1, 2, 16, 24, 24]);
});

test('an instance is asked for once, with all that is amiss, when something is due', () => {
  const [request, ...others] = repairs(
    finding(),
    finding({ kind: 'service-missing', isDue: false, repairs: 3 }),
    finding({ instanceId: 'bbbbbbbbbbbb', isDue: false }),
  );
  expect(others).toEqual([]);
  expect(request).toMatchObject({
    instanceId: 'abcdefgh2345',
    kinds: ['deployment-missing', 'service-missing'],
    repairs: 4,
    waitMs: 8 * 60_000,
  });
});

test('the same request has the same id, and every other one another', () => {
  const id = (...findings: Askable[]) => repairs(...findings)[0]?.eventId;
  expect(id(finding())).toBe(id(finding()));
  const others = [
    finding({ repairs: 1 }),
    finding({ kind: 'service-missing' }),
    finding({ instanceId: 'bbbbbbbbbbbb' }),
    finding({ firstSeen: new Date('2026-03-01T00:00:00Z') }),
  ];
  expect(new Set([finding(), ...others].map((one) => id(one))).size).toBe(5);
  expect(requestsOf([finding()], { what: 'purge', atMost: 1 })[0]?.eventId).not.toBe(id(finding()));
});

test('one pass asks for a bounded number', () => {
  const many = Array.from({ length: 9 }, (_, index) => finding({ instanceId: `abcdefgh222${index}` }));
  expect(requestsOf(many, { what: 'repair', atMost: 4 })).toHaveLength(4);
});
