import { describe, expect, test } from 'vitest';
import {
  actorOf,
  grantedScopes,
  isScope,
  may,
  type Principal,
  type Role,
  requireMayDestroy,
  requireScope,
  roles,
  scopes,
  scopesOfRole,
} from './principal.ts';

const principal = (role: Role, given: Principal['scopes'] = scopesOfRole[role]): Principal => ({
  kind: 'user',
  id: 'someone',
  role,
  customerId: role === 'customer' ? 'acme' : null,
  scopes: given,
});

const admin = { role: 'admin', customerId: null } as const;

describe('what somebody may do', () => {
  test('who is limited to one customer has no scope over the fleet, whatever his role', () => {
    for (const role of roles) {
      const granted = grantedScopes({ role, customerId: 'acme' }, scopes);
      expect(granted.filter((scope) => scope.startsWith('admin:'))).toEqual([]);
      expect(granted).toContain('instances:read');
    }
  });

  test('a customer has no scope over the fleet, whatever his token asks for', () => {
    expect(
      grantedScopes({ role: 'customer', customerId: 'acme' }, scopes).filter((scope) => scope.startsWith('admin:')),
    ).toEqual([]);
    expect(() => requireScope(principal('customer'), 'admin:read')).toThrow('This needs the scope admin:read');
  });

  test('support reads everything, and changes no keys, domains or fleet', () => {
    const reads = scopes.filter((scope) => scope.endsWith(':read'));
    expect(reads.every((scope) => may(principal('support'), scope))).toBe(true);
    expect(may(principal('support'), 'instances:write')).toBe(true);
    for (const scope of ['admin:write', 'keys:write', 'domains:write', 'webhooks:write'] as const)
      expect(may(principal('support'), scope)).toBe(false);
  });

  test('only support may not ask for what takes data away', () => {
    const refused = roles.filter((role) => {
      try {
        requireMayDestroy(principal(role));
        return false;
      } catch {
        return true;
      }
    });
    expect(refused).toEqual(['support']);
  });

  test('a scope that nobody knows is not given, and one that is asked for twice is given once', () => {
    expect(grantedScopes(admin, ['instances:read', 'instances:read', 'world:write'])).toEqual(['instances:read']);
    expect(isScope('world:write')).toBe(false);
  });

  test('a role that a token does not narrow has the scopes of the role', () => {
    expect(grantedScopes(admin, scopes)).toEqual(scopes);
  });

  test('records name the kind and the id', () => {
    expect(actorOf(principal('admin'))).toBe('user:someone');
  });
});
