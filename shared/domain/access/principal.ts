import { Failure } from '#shared/domain/failure.ts';

/**
 * Who somebody is to the platform. `customer` has rows of one customer; `support` reads everything and asks for what
 * destroys nothing; `admin` may do everything; `service` may do what its scopes say.
 */
export type Role = 'customer' | 'support' | 'admin' | 'service';

export const roles: readonly Role[] = ['customer', 'support', 'admin', 'service'];

export const scopes = [
  'instances:read',
  'instances:write',
  'backups:read',
  'backups:write',
  'operations:read',
  'audit:read',
  'webhooks:read',
  'webhooks:write',
  'domains:read',
  'domains:write',
  'keys:read',
  'keys:write',
  'admin:read',
  'admin:write',
] as const;

/** What may be done, by the noun and whether it changes something. */
export type Scope = (typeof scopes)[number];

/** Who asks, found out once per request. What he may do is decided from this alone. */
export type Principal = {
  /** `user`: a person with a token; `service`: a program with a token; `key`: whoever holds an API key. */
  kind: 'user' | 'service' | 'key';
  /** Ours or the issuer's name for him; never a secret. */
  id: string;
  role: Role;
  /** The one customer whose rows he has; null: not limited to one. */
  customerId: string | null;
  scopes: readonly Scope[];
};

const ofCustomers: readonly Scope[] = scopes.filter((scope) => !scope.startsWith('admin:'));

/** The most each role may be given. What a token or a key states can only be less. */
export const scopesOfRole: Readonly<Record<Role, readonly Scope[]>> = {
  customer: ofCustomers,
  support: scopes.filter((scope) => !['admin:write', 'keys:write', 'webhooks:write', 'domains:write'].includes(scope)),
  admin: scopes,
  service: scopes,
};

const known: ReadonlySet<string> = new Set(scopes);

export function isScope(text: string): text is Scope {
  return known.has(text);
}

/**
 * Those of `wanted` that somebody of this role and customer may have, each once, in the order of `scopes`. Who is limited to
 * one customer has none over the fleet, whatever his role: what they open is not divided by customers.
 */
export function grantedScopes(
  { role, customerId }: Pick<Principal, 'role' | 'customerId'>,
  wanted: readonly string[],
): readonly Scope[] {
  const asked = new Set(wanted);
  return scopesOfRole[role].filter((scope) => asked.has(scope) && (customerId === null || ofCustomers.includes(scope)));
}

export function may(principal: Principal, scope: Scope): boolean {
  return principal.scopes.includes(scope);
}

/** @throws Failure `forbidden`. Ownership of a row is no question of scopes: statements compare `customerId`. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (may(principal, scope)) return;
  const text = `This needs the scope ${scope}. Ask for a token or a key that has it.`;
  throw new Failure('forbidden', text, { facts: { scope } });
}

/** May he ask for what takes data or service away for good (terminate, purge, restore over live data)? */
export function mayDestroy(principal: Principal): boolean {
  return principal.role !== 'support';
}

/** @throws Failure `forbidden` for support, which may ask only for what destroys nothing. */
export function requireMayDestroy(principal: Principal): void {
  if (mayDestroy(principal)) return;
  throw new Failure('forbidden', 'Support may not ask for what takes data away: the customer or an admin can.');
}

/** How records name him: `user:…`, `service:…`, `key:…`. */
export function actorOf(principal: Pick<Principal, 'kind' | 'id'>): string {
  return `${principal.kind}:${principal.id}`;
}
