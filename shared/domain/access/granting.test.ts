import { describe, expect, test } from 'vitest';
import { type AskedGrant, grantOf } from './granting.ts';
import { type Principal, type Role, scopes, scopesOfRole } from './principal.ts';

const maker = (role: Role, given: Partial<Principal> = {}): Principal => ({
  kind: 'user',
  id: 'u1',
  role,
  customerId: role === 'customer' ? 'acme' : null,
  scopes: scopesOfRole[role],
  ...given,
});

describe('a key', () => {
  test('of a customer is for his own rows, with what he has himself unless less is asked for', () => {
    expect(grantOf(maker('customer'), {})).toEqual({
      role: 'customer',
      customerId: 'acme',
      scopes: scopesOfRole.customer,
    });
    expect(grantOf(maker('customer'), { scopes: ['instances:read'] }).scopes).toEqual(['instances:read']);
  });

  test('of an admin may be of any role', () => {
    expect(grantOf(maker('admin'), { role: 'customer', customerId: 'acme' })).toMatchObject({ customerId: 'acme' });
    expect(grantOf(maker('admin'), { role: 'support' }).scopes).toEqual(scopesOfRole.support);
    expect(grantOf(maker('admin'), {}).scopes).toEqual(scopes);
    expect(grantOf(maker('admin'), { role: 'service', scopes: ['backups:read'] })).toEqual({
      role: 'service',
      customerId: null,
      scopes: ['backups:read'],
    });
  });

  const narrow = maker('customer', { scopes: ['keys:write', 'instances:read'] });
  const narrowAdmin = maker('admin', { scopes: ['keys:write', 'admin:read'] });
  const service = maker('service', { scopes: ['keys:write', 'instances:read'] });
  const bound = { ...service, customerId: 'acme' };
  test.each<[string, Principal, AskedGrant, string, string]>([
    ['another role than the customer’s', maker('customer'), { role: 'admin' }, 'forbidden', 'role'],
    ['a role above a service', service, { role: 'admin' }, 'forbidden', 'role'],
    ['another customer', maker('customer'), { customerId: 'other' }, 'forbidden', 'customer'],
    ['another customer than the service is limited to', bound, { customerId: 'other' }, 'forbidden', 'customer'],
    ['a scope its maker has not', narrow, { scopes: ['instances:write'] }, 'forbidden', 'scopes'],
    ['a scope a narrowed admin has not', narrowAdmin, { scopes: ['admin:write'] }, 'forbidden', 'scopes'],
    [
      'a scope the role may not have',
      maker('admin'),
      { role: 'support', scopes: ['admin:write'] },
      'forbidden',
      'scopes',
    ],
    ['no scope at all', maker('admin'), { scopes: [] }, 'forbidden', 'scopes'],
    ['no customer', maker('admin'), { role: 'customer' }, 'invalid-request', 'customer'],
    ['an admin of one customer', maker('admin'), { customerId: 'acme' }, 'invalid-request', 'customer'],
  ])('with %s is refused, naming the field', (_what, by, asked, code, field) => {
    expect(() => grantOf(by, asked)).toThrow(expect.objectContaining({ code, facts: { field: `body.${field}` } }));
  });

  test('made by one whose scopes were narrowed is no wider, when it asks for nothing', () => {
    expect(grantOf(narrow, {}).scopes).toEqual(['instances:read', 'keys:write']);
    expect(grantOf(narrowAdmin, { role: 'service' }).scopes).toEqual(['keys:write', 'admin:read']);
  });

  test('of a service for one customer has nothing over the fleet, also when an admin makes it', () => {
    const granted = grantOf(maker('admin'), { role: 'service', customerId: 'acme' });
    expect(granted.customerId).toBe('acme');
    expect(granted.scopes).toEqual(scopesOfRole.customer);
    const asked = { role: 'service', customerId: 'acme', scopes: ['admin:read'] } as const;
    expect(() => grantOf(maker('admin'), asked)).toThrow('The scope admin:read is more than');
  });

  test('of a service limited to one customer stays limited to him', () => {
    expect(grantOf(bound, { role: 'customer' })).toEqual({
      role: 'customer',
      customerId: 'acme',
      scopes: ['instances:read', 'keys:write'],
    });
  });
});
