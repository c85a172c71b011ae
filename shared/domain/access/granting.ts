import { Failure } from '#shared/domain/failure.ts';
import { grantedScopes, type Principal, type Role, type Scope } from './principal.ts';

/** What a key is asked for with; what is left out is as its maker has it. */
export type AskedGrant = {
  role?: Role | undefined;
  customerId?: string | undefined;
  scopes?: readonly Scope[] | undefined;
};

export type Grant = Pick<Principal, 'role' | 'customerId' | 'scopes'>;

/**
 * What a key may be given by this maker: never more than he has himself. An admin makes keys of any role; anybody else of
 * his own, or of a customer's for the customer he is limited to.
 * @throws Failure `forbidden` or `invalid-request` that names the field.
 */
export function grantOf(maker: Principal, asked: AskedGrant): Grant {
  const role = asked.role ?? maker.role;
  const isWiderRole =
    maker.role !== 'admin' && role !== maker.role && !(maker.role === 'service' && role === 'customer');
  if (isWiderRole) throw refused('forbidden', 'role', 'You may make keys of your own role only.');
  const customerId = customerOf(maker, role, asked.customerId);
  const wanted = asked.scopes ?? maker.scopes;
  const scopes = grantedScopes({ role, customerId }, wanted).filter((scope) => maker.scopes.includes(scope));
  const missing = asked.scopes?.find((scope) => !scopes.includes(scope));
  if (missing !== undefined) {
    throw refused('forbidden', 'scopes', `The scope ${missing} is more than you have, or than the role may have.`);
  }
  if (scopes.length === 0) throw refused('forbidden', 'scopes', 'The key could do nothing: state other scopes.');
  return { role, customerId, scopes };
}

function customerOf(maker: Principal, role: Role, asked: string | undefined): string | null {
  if (maker.customerId !== null) {
    if (asked === undefined || asked === maker.customerId) return maker.customerId;
    throw refused('forbidden', 'customer', 'You may make keys for your own customer only.');
  }
  if (role === 'customer' && asked === undefined) {
    throw refused('invalid-request', 'customer', 'State the customer whose key it is.');
  }
  if ((role === 'admin' || role === 'support') && asked !== undefined) {
    throw refused('invalid-request', 'customer', `A key of the role ${role} is for no customer: leave it out.`);
  }
  return asked ?? null;
}

function refused(code: 'forbidden' | 'invalid-request', field: string, text: string): Failure {
  return new Failure(code, text, { facts: { field: `body.${field}` } });
}
