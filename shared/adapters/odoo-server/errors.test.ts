import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { breaksConnection, refusalOfTenant, saysItExists, saysTenantIsFull, toFailure } from './errors.ts';

function refusal(state: string, message = 'the server says no'): DatabaseError {
  const error = new DatabaseError(message, message.length, 'error');
  error.code = state;
  return error;
}
const network = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

test.each([
  ['57P01', 'unavailable'],
  ['57P03', 'unavailable'],
  ['53300', 'unavailable'],
  ['08006', 'unavailable'],
  ['57014', 'timeout'],
  ['55P03', 'conflict'],
  ['55006', 'conflict'],
  ['40P01', 'conflict'],
  ['28P01', 'misconfigured'],
  ['42501', 'not-allowed'],
  ['3D000', 'not-found'],
  ['23514', 'constraint-violated'],
  ['XX000', 'internal'],
])('SQLSTATE %s becomes %s', (state, code) => {
  expect(toFailure(refusal(state), 'do it', 'db-1')).toMatchObject({
    code,
    facts: { sqlState: state, server: 'db-1' },
    message: expect.stringContaining('Could not do it on Odoo server db-1'),
  });
});

test.each([
  [network('ECONNREFUSED'), 'unavailable'],
  [network('ENOTFOUND'), 'unavailable'],
  [new Error('Connection terminated unexpectedly'), 'unavailable'],
  [new Error('timeout expired'), 'unavailable'],
  [new Error('timeout exceeded when trying to connect'), 'unavailable'],
  [new Error('Query read timeout'), 'outcome-unknown'],
  [new Error('The server does not support SSL connections'), 'misconfigured'],
  [new TypeError('x is not a function'), 'internal'],
])('%s becomes %s', (error, code) => {
  expect(toFailure(error, 'do it', 'db-1').code).toBe(code);
});

test('42P04, 42710 and 23505 all say that it exists', () => {
  expect(['42P04', '42710', '23505', '42P01'].map((state) => saysItExists(refusal(state)))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test('a statement is not quoted: a syntax error shows none of it', () => {
  const failure = toFailure(refusal('42601', 'syntax error at or near "SCRAM-SHA-256$4096"'), 'do it', 'db-1');
  expect(failure.message).not.toContain('SCRAM');
  expect(failure.cause).toBeUndefined();
});

test('a refused statement keeps the connection, a lost session does not', () => {
  expect(breaksConnection(refusal('42501'))).toBe(false);
  expect(breaksConnection(new Failure('fenced', 'newer holder'))).toBe(false);
  expect(breaksConnection(refusal('57P01'))).toBe(true);
  expect(breaksConnection(new Error('Query read timeout'))).toBe(true);
});

test.each([
  ['28P01', 'auth_failed', 'not-allowed'],
  ['28000', 'InitializeSessionUserId', 'not-allowed'],
  ['42501', 'CheckMyDatabase', 'not-allowed'],
  ['55000', 'CheckMyDatabase', 'not-allowed'],
  ['53300', 'InitializeSessionUserId', 'unavailable'],
  // no line in pg_hba.conf, a full server, one that starts: nothing that is the tenant's
  ['28000', 'ClientAuthentication', undefined],
  ['53300', 'InitPostgres', undefined],
  ['57P03', 'ProcessStartupPacket', undefined],
])("of a tenant's login, %s by %s is %s", (state, routine, code) => {
  const error = Object.assign(refusal(state), { routine });
  const failure = refusalOfTenant(error, 'log in', 'odoo_x');
  expect(failure?.code).toBe(code);
  expect(failure !== undefined && saysTenantIsFull(failure)).toBe(code === 'unavailable');
});
