import { describe, expect, test } from 'vitest';
import { operationKinds } from '../operation/operation.ts';
import { askingRules, requireMayAsk } from './asking.ts';
import { type Role, scopesOfRole } from './principal.ts';

/** The kinds that somebody of this role, with all the scopes it may have, is refused. */
function refused(role: Role, customerId: string | null): string[] {
  const principal = { kind: 'user', id: 'u', role, customerId, scopes: scopesOfRole[role] } as const;
  return operationKinds.filter((kind) => {
    try {
      requireMayAsk(principal, kind);
      return false;
    } catch {
      return true;
    }
  });
}

describe('operations', () => {
  test('of every kind are an admin’s to ask for', () => {
    expect(refused('admin', null)).toEqual([]);
  });

  test('that destroy, and those of admins, are nothing for support', () => {
    expect(refused('support', null)).toEqual(['terminate', 'purge', 'repair', 'restore']);
  });

  test('of the provider and of admins are nothing for a customer', () => {
    expect(refused('customer', 'c-1')).toEqual(['suspend', 'resume', 'purge', 'repair']);
  });

  test.each(operationKinds)('of kind %s need the scope of that kind', (kind) => {
    const scopes = scopesOfRole.admin.filter((scope) => scope !== askingRules[kind].scope);
    const principal = { kind: 'service', id: 's', role: 'service', customerId: null, scopes } as const;
    expect(() => requireMayAsk(principal, kind)).toThrow(askingRules[kind].scope);
  });
});
