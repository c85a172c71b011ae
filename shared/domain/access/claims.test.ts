import { describe, expect, test } from 'vitest';
import { principalOfClaims } from './claims.ts';
import { scopesOfRole } from './principal.ts';

const customer = { sub: 'auth0|5f7c', role: 'customer', customer_id: 'acme' };

describe('the claims of a token', () => {
  test('make a customer one who has his own rows', () => {
    expect(principalOfClaims(customer)).toEqual({
      kind: 'user',
      id: 'auth0|5f7c',
      role: 'customer',
      customerId: 'acme',
      scopes: scopesOfRole.customer,
    });
  });

  test('are found under the names of the issuer', () => {
    const claims = { sub: 'u1', 'https://fleet/role': 'customer', org: 'acme' };
    expect(principalOfClaims(claims, { role: 'https://fleet/role', customer: 'org' }).customerId).toBe('acme');
  });

  test('do not limit support and admins to a customer they happen to name', () => {
    for (const role of ['support', 'admin'])
      expect(principalOfClaims({ sub: 'u1', role, customer_id: 'acme' }).customerId).toBeNull();
  });

  test('narrow what the role may do, and never widen it', () => {
    expect(principalOfClaims({ ...customer, scope: 'openid instances:read admin:write' }).scopes).toEqual([
      'instances:read',
    ]);
    expect(principalOfClaims({ ...customer, scope: 'openid profile' }).scopes).toEqual(scopesOfRole.customer);
  });

  test('that were meant to be narrow and are misspelt give nothing', () => {
    expect(principalOfClaims({ ...customer, scope: 'instance:read' }).scopes).toEqual([]);
  });

  test('give a service what they state and nothing else', () => {
    expect(principalOfClaims({ sub: 'svc', role: 'service' })).toEqual({
      kind: 'service',
      id: 'svc',
      role: 'service',
      customerId: null,
      scopes: [],
    });
    const claims = { sub: 'svc', role: 'service', customer_id: 'acme', scope: 'backups:read admin:read' };
    expect(principalOfClaims(claims)).toMatchObject({ customerId: 'acme', scopes: ['backups:read'] });
  });

  test.each([
    ['no role', { ...customer, role: undefined }, 'role'],
    ['a role that nobody has', { ...customer, role: 'owner' }, 'role'],
    ['roles in a list', { ...customer, role: ['admin'] }, 'role'],
    ['a customer without an id', { ...customer, customer_id: undefined }, 'customer_id'],
    ['a customer with an empty id', { ...customer, customer_id: '' }, 'customer_id'],
    ['an id that is no word', { ...customer, customer_id: "a' or '1'='1" }, 'customer_id'],
    ['a subject with a line break', { ...customer, sub: 'a\nb' }, 'sub'],
    ['a subject without end', { ...customer, sub: 'a'.repeat(200) }, 'sub'],
  ])('with %s are refused, naming the claim and quoting nothing', (_what, claims, claim) => {
    expect(() => principalOfClaims(claims)).toThrow(
      expect.objectContaining({ code: 'forbidden', message: expect.stringContaining(`claim ${claim} `) }),
    );
  });
});
