import { describe, expect, test } from 'vitest';
import { majorOf, type RestorableFacts, refuseBackup, refusePostgres } from './restorable.ts';

const good: RestorableFacts = {
  id: 'b1',
  instanceId: 'k3n5q2x7a4bc',
  state: 'succeeded',
  proof: 'none',
  odooVersion: '19.0.1.3',
};

describe('a backup may be restored', () => {
  test.each(['19.0', 'saas~19.1', '19.0+e'])('into an instance of the same major version, such as %s', (version) => {
    expect(refuseBackup(good, version)).toBeUndefined();
    expect(refuseBackup({ ...good, proof: 'proven' }, version)).toBeUndefined();
  });
  test('into a server that is as new as the one it is from, or newer', () => {
    expect(refusePostgres(15, 15)).toBeUndefined();
    expect(refusePostgres(15, 18)).toBeUndefined();
  });
});

describe('a backup is refused', () => {
  test.each(['running', 'failed', 'deleting', 'deleted'] as const)(
    'as one that is not there while it is %s',
    (state) => {
      expect(refuseBackup({ ...good, state }, '19.0')).toMatchObject({ code: 'not-found' });
    },
  );
  test('when it was found damaged', () => {
    expect(refuseBackup({ ...good, proof: 'refuted' }, '19.0')).toMatchObject({ code: 'not-allowed' });
  });
  test('when it is of another major version of Odoo, or of none', () => {
    expect(refuseBackup(good, '18.0')?.message).toMatch(/of Odoo 19\.0\.1\.3, the instance runs Odoo 18\.0/);
    expect(refuseBackup({ ...good, odooVersion: '9.0.1.3' }, '19.0')).toMatchObject({ code: 'not-allowed' });
    expect(refuseBackup({ ...good, odooVersion: null }, '19.0')).toMatchObject({ code: 'not-allowed' });
  });
  test('when the server is older than the one that wrote it', () => {
    expect(refusePostgres(18, 15)?.message).toMatch(/PostgreSQL 18, .* PostgreSQL 15, which is older/);
  });
});

test.each([
  ['19.0', '19'],
  ['19.0.1.3', '19'],
  ['saas~17.2', '17'],
])('the major version of %s is %s', (version, major) => {
  expect(majorOf(version)).toBe(major);
});
