import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { databaseFailure, mayRunAgain } from './errors.ts';

const from = (fields: object) => databaseFailure(Object.assign(new Error('told by the server'), fields), 'here');

describe('an error of the server', () => {
  test.each([
    ['23505', 'constraint-violated'],
    ['23503', 'constraint-violated'],
    ['23514', 'constraint-violated'],
    ['23P01', 'constraint-violated'],
    ['23502', 'constraint-violated'],
    ['22P02', 'invalid-request'],
    ['22021', 'invalid-request'],
    ['25006', 'unavailable'],
    ['25P02', 'internal'],
    ['28P01', 'misconfigured'],
    ['28000', 'misconfigured'],
    ['3D000', 'misconfigured'],
    ['40001', 'conflict'],
    ['40P01', 'conflict'],
    ['42P01', 'internal'],
    ['42501', 'misconfigured'],
    ['53100', 'unavailable'],
    ['53300', 'unavailable'],
    ['55P03', 'conflict'],
    ['57014', 'timeout'],
    ['57P01', 'unavailable'],
    ['57P02', 'unavailable'],
    ['57P03', 'unavailable'],
    ['08006', 'unavailable'],
    ['08P01', 'unavailable'],
    ['XX000', 'internal'],
  ])('%s is %s', (code, failure) => {
    expect(from({ code })).toMatchObject({ code: failure, facts: { sqlState: code } });
  });

  test('keeps names and leaves out what quotes values', () => {
    const failure = from({
      code: '23505',
      message: 'duplicate key value violates unique constraint "instances_host_key"',
      detail: 'Key (host)=(a.example) already exists.',
      hint: 'a.example',
      where: 'a.example',
      internalQuery: 'a.example',
      constraint: 'instances_host_key',
      table: 'instances',
    });
    expect(failure.message).toContain('instances_host_key');
    expect(failure.facts).toEqual({ sqlState: '23505', constraint: 'instances_host_key', table: 'instances' });
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('a.example');
  });
});

describe('an error without a SQLSTATE, or with the one PgBouncer has for everything', () => {
  test.each([
    [{ code: 'ECONNREFUSED' }, 'unavailable'],
    [{ code: 'ECONNRESET' }, 'unavailable'],
    [{ code: 'ETIMEDOUT' }, 'unavailable'],
    [{ code: 'ENOTFOUND' }, 'unavailable'],
    [{ message: 'Connection terminated unexpectedly' }, 'unavailable'],
    [{ message: 'Connection terminated due to connection timeout' }, 'unavailable'],
    [{ message: 'timeout exceeded when trying to connect' }, 'unavailable'],
    [{ code: '08P01', message: 'no more connections allowed (max_client_conn)' }, 'unavailable'],
    [{ code: '08P01', message: 'query_wait_timeout' }, 'unavailable'],
    [{ code: '08P01', message: 'pgbouncer cannot connect to server' }, 'unavailable'],
    [{ code: '08P01', message: 'server login has been failing, try again later (server_login_retry)' }, 'unavailable'],
    [{ code: '08P01', message: 'server conn crashed?' }, 'unavailable'],
    [{ code: '08P01', message: 'SASL authentication failed' }, 'misconfigured'],
    [{ code: '08P01', message: 'no such database: x' }, 'misconfigured'],
    [{ code: '08P01', message: 'unsupported startup parameter: x' }, 'misconfigured'],
    [{ message: 'The server does not support SSL connections' }, 'misconfigured'],
    [{ message: 'SCRAM-SERVER-FINAL-MESSAGE: server signature does not match' }, 'misconfigured'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'misconfigured'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT', message: 'self-signed certificate' }, 'misconfigured'],
    [{ message: 'anything else' }, 'internal'],
  ])('%j is %s', (fields, code) => {
    expect(from(fields).code).toBe(code);
  });

  test('every address of a name refused is one failure', () => {
    const error = Object.assign(new AggregateError([new Error('::1'), new Error('127.0.0.1')]), {
      code: 'ECONNREFUSED',
    });
    expect(databaseFailure(error, 'here')).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('here'),
    });
  });

  test('the event of a WebSocket that failed is no Error, and unavailable', () => {
    expect(databaseFailure(new Event('error'), 'here').code).toBe('unavailable');
  });
});

test('a Failure stays what it is', () => {
  const failure = new Failure('fenced', 'somebody newer holds it');
  expect(databaseFailure(failure, 'here')).toBe(failure);
});

describe('a transaction may run again at once', () => {
  test.each([
    [{ code: '40001' }, true],
    [{ code: '40P01' }, true],
    [{ code: '57P01' }, true],
    [{ code: 'ECONNREFUSED' }, true],
    [{ message: 'Connection terminated unexpectedly' }, true],
    // waited for already
    [{ message: 'timeout exceeded when trying to connect' }, false],
    [{ message: 'Connection terminated due to connection timeout' }, false],
    [{ code: '08P01', message: 'query_wait_timeout' }, false],
    [{ code: '55P03' }, false],
    [{ code: '57014' }, false],
    [{ code: '23505' }, false],
    [{ code: '28P01' }, false],
    [{ message: 'Cannot use a pool after calling end on the pool' }, false],
  ])('after %j: %s', (fields, may) => {
    expect(mayRunAgain(from(fields))).toBe(may);
  });
});
