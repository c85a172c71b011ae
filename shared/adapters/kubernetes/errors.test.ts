import { describe, expect, it } from 'vitest';
import { mayRepeat, refusalFailure, silenceFailure } from './errors.ts';

const request = { method: 'PATCH', object: 'deployments/odoo-a', isSecret: false };
const coded = (code: string) => Object.assign(new Error('no'), { code });

describe('refusals and silence', () => {
  it.each([
    [401, '', 'misconfigured'],
    [403, 'pods is forbidden: exceeded quota: tenants', 'no-capacity'],
    [403, 'namespace is being terminated', 'unavailable'],
    [403, 'User cannot patch', 'not-allowed'],
    [404, '', 'not-found'],
    [409, '', 'conflict'],
    [422, '', 'constraint-violated'],
    [429, '', 'unavailable'],
    [500, '', 'unavailable'],
    [501, '', 'misconfigured'],
    [503, '', 'unavailable'],
    [504, '', 'timeout'],
  ])('take %i %s for %s', (status, message, code) => {
    expect(refusalFailure({ status, reason: '', message }, request).code).toBe(code);
  });

  it('take a 404 to a POST for a missing namespace', () => {
    const failure = refusalFailure({ status: 404, reason: 'NotFound', message: '' }, { ...request, method: 'POST' });
    expect(failure.code).toBe('misconfigured');
  });

  it('repeat nothing of a Secret’s content', () => {
    const refusal = { status: 422, reason: 'Invalid', message: 'data: Invalid value: "hunter2"' };
    expect(refusalFailure(refusal, { ...request, isSecret: true }).message).not.toContain('hunter2');
  });

  it.each([
    ['ECONNREFUSED', 'PATCH', 'unavailable'],
    ['UND_ERR_CONNECT_TIMEOUT', 'POST', 'unavailable'],
    ['ECONNRESET', 'POST', 'outcome-unknown'],
    ['ECONNRESET', 'GET', 'unavailable'],
    ['UND_ERR_HEADERS_TIMEOUT', 'POST', 'timeout'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'GET', 'misconfigured'],
  ])('take %s on %s for %s', (code, method, expected) => {
    expect(silenceFailure(coded(code), { ...request, method }).code).toBe(expected);
  });

  it('may be tried again only when the server was busy or broken', () => {
    expect([200, 400, 403, 404, 409, 422, 429, 500, 501, 502, 503, 504].filter(mayRepeat)).toEqual([
      429, 500, 502, 503, 504,
    ]);
  });
});
