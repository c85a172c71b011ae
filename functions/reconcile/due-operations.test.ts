import { expect, test } from 'vitest';
import { waysToTell } from './due-operations.ts';

const due = (id: string, overdueMs: number, kind = 'provision') => ({
  id,
  instanceId: 'abcdefgh2345',
  kind,
  overdueMs,
  traceparent: null,
});

test('what has just become due is told by the broker', () => {
  const fresh = [due('a', 0), due('b', 10_000)];
  expect(waysToTell(fresh)).toEqual({ byBroker: fresh, straight: new Map() });
});

test('what the broker did not bring within ten seconds is told straight, by kind', () => {
  const operations = [due('a', 10_001), due('b', 5), due('c', 60_000, 'backup'), due('d', 11_000)];
  const { byBroker, straight } = waysToTell(operations);
  expect(byBroker).toEqual([operations[1]]);
  expect([...straight]).toEqual([
    ['provision', [operations[0], operations[3]]],
    ['backup', [operations[2]]],
  ]);
});

test('nothing due, nobody told', () => {
  expect(waysToTell([])).toEqual({ byBroker: [], straight: new Map() });
});
