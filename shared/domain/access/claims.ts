import { Failure } from '#shared/domain/failure.ts';
import { grantedScopes, isScope, type Principal, type Role, roles, scopesOfRole } from './principal.ts';

/** Which claims of a token say what; they differ from issuer to issuer. */
export type ClaimNames = { role: string; customer: string };

export const defaultClaimNames: ClaimNames = { role: 'role', customer: 'customer_id' };

/** It reaches logs and records: one word of plain characters. */
const subjectPattern = /^[A-Za-z0-9][A-Za-z0-9@._:|-]{0,127}$/;
const customerPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/**
 * Who the holder of a verified token is. `scope` (words between blanks, RFC 9068) can only narrow what the role may do;
 * words of other systems (`openid`) narrow nothing. A service has the scopes its token states and no others.
 * @throws Failure `forbidden` that names the claim.
 */
export function principalOfClaims(
  claims: Readonly<Record<string, unknown>>,
  names: ClaimNames = defaultClaimNames,
): Principal {
  const id = claims['sub'];
  if (typeof id !== 'string' || !subjectPattern.test(id)) {
    throw wrong('sub', 'is 1 to 128 letters, digits and @ . _ : | -');
  }
  const role = roles.find((one) => one === claims[names.role]);
  if (role === undefined) throw wrong(names.role, `is one of ${roles.join(', ')}`);
  const customerId = customerOf(role, claims[names.customer], names);
  const kind = role === 'service' ? 'service' : 'user';
  return { kind, id, role, customerId, scopes: scopesOf({ role, customerId }, claims['scope']) };
}

function customerOf(role: Role, claim: unknown, names: ClaimNames): string | null {
  if (role === 'admin' || role === 'support') return null;
  if (role === 'service' && (claim === undefined || claim === null)) return null;
  if (typeof claim === 'string' && customerPattern.test(claim)) return claim;
  throw wrong(names.customer, 'is the id of the customer whose instances are meant');
}

function scopesOf(who: Pick<Principal, 'role' | 'customerId'>, claim: unknown): Principal['scopes'] {
  const words = typeof claim === 'string' ? claim.split(' ') : [];
  if (who.role === 'service') return grantedScopes(who, words);
  // also a misspelt one: a token that was meant to be narrow must not turn out wide
  const isNarrowed = words.some((word) => isScope(word) || /:(read|write)$/.test(word));
  return grantedScopes(who, isNarrowed ? words : scopesOfRole[who.role]);
}

/** The values of claims are not told: they are the sender's. */
function wrong(claim: string, what: string): Failure {
  return new Failure('forbidden', `The token's claim ${claim} does not say who you are here: it ${what}.`, {
    facts: { claim },
  });
}
