import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventIdOf, newOperationId, shortOperationId } from './identifiers.ts';

test('an operation id is a UUIDv7 of its time', () => {
  // the example of RFC 9562, appendix A.6
  const random = Buffer.from('0cc318c4dc0c0c07398f', 'hex');
  expect(newOperationId(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  expect(newOperationId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('ids sort as their times', () => {
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  fc.assert(
    fc.property(time, time, (one, other) => {
      fc.pre(one !== other);
      const [first, second] = [newOperationId(Math.min(one, other)), newOperationId(Math.max(one, other))];
      expect(first < second).toBe(true);
    }),
  );
});

test('ids of one moment differ, and so do their short forms', () => {
  const ids = Array.from({ length: 5_000 }, () => newOperationId(1_700_000_000_000));
  expect(new Set(ids).size).toBe(ids.length);
  const short = ids.map(shortOperationId);
  expect(short.every((name) => /^[0-9a-f]{8}$/.test(name))).toBe(true);
  expect(new Set(short).size).toBeGreaterThan(ids.length - 10);
});

test('the id of an event follows from its operation and what it says', () => {
  const operation = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';
  // written down: another value here would send events of before the change a second time
  expect(eventIdOf(operation, 'accepted')).toBe('6baed9e8-d753-870a-bfcc-82219729eb51');
  expect(eventIdOf(operation, 'failed 1')).not.toBe(eventIdOf(operation, 'failed 2'));
  expect(eventIdOf(newOperationId(), 'accepted')).not.toBe(eventIdOf(operation, 'accepted'));
});
