import fc from 'fast-check';
import { expect, test } from 'vitest';
import { workerJobName } from './job-names.ts';
import { loadDatabaseName, loadPrefix, oldSideName, swapPrefix } from './load-names.ts';

const instanceId = fc.stringMatching(/^[a-z2-7]{12}$/);
const operationId = fc.uuid({ version: 7 });
const round = fc.integer({ min: 1, max: 999_999_999 });
const place = fc.record({ instanceId, operationId, round });

test('names of databases and roles fit PostgreSQL, also behind the name of what is thrown away', () => {
  fc.assert(
    fc.property(place, (one) => {
      for (const name of [loadDatabaseName(one), oldSideName(one)]) {
        expect(Buffer.byteLength(`trash_${name}_${Date.now().toString(36)}`)).toBeLessThanOrEqual(63);
      }
      for (const task of ['load', 'swap', 'tidy'] as const) expect(workerJobName(task, one).length).toBeLessThan(64);
    }),
  );
});

test('the rounds of an operation, and the operations of an instance, have places of their own', () => {
  const one = { instanceId: 'k3n5q2x7a4bc', operationId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', round: 1 };
  const others = [
    { ...one, round: 2 },
    { ...one, operationId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e50' },
    { ...one, instanceId: 'k3n5q2x7a4bd' },
  ];
  for (const nameOf of [loadDatabaseName, loadPrefix, swapPrefix]) {
    expect(new Set([one, ...others].map(nameOf)).size).toBe(4);
  }
  expect(oldSideName(one)).toBe('old_k3n5q2x7a4bc_2c3d4e5f');
  expect(loadDatabaseName(one)).toBe('load_k3n5q2x7a4bc_2c3d4e5f_1');
});
