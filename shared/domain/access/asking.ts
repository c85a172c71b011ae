import { Failure } from '../failure.ts';
import type { OperationKind } from '../operation/operation.ts';
import { type Principal, requireMayDestroy, requireScope, type Scope } from './principal.ts';

/** What somebody must be to ask for an operation of a kind, to have it tried again, or to have it undone. */
export type AskingRule = {
  scope: Scope;
  /** It takes data or service away for good: nothing for support. */
  destroys?: true;
  /** It is a provider's to say, and no customer's. */
  isProviders?: true;
};

export const askingRules: Readonly<Record<OperationKind, AskingRule>> = {
  provision: { scope: 'instances:write' },
  start: { scope: 'instances:write' },
  stop: { scope: 'instances:write' },
  restart: { scope: 'instances:write' },
  suspend: { scope: 'instances:write', isProviders: true },
  resume: { scope: 'instances:write', isProviders: true },
  terminate: { scope: 'instances:write', destroys: true },
  undo: { scope: 'instances:write' },
  purge: { scope: 'admin:write', destroys: true },
  repair: { scope: 'admin:write' },
  backup: { scope: 'backups:write' },
  verify: { scope: 'backups:write' },
  restore: { scope: 'backups:write', destroys: true },
  clone: { scope: 'instances:write' },
  import: { scope: 'instances:write' },
  export: { scope: 'backups:write' },
};

/** May he have an operation of this kind? @throws Failure `forbidden`. */
export function requireMayAsk(principal: Principal, kind: OperationKind): void {
  const { scope, destroys, isProviders } = askingRules[kind];
  requireScope(principal, scope);
  if (destroys === true) requireMayDestroy(principal);
  if (isProviders === true && principal.customerId !== null) {
    throw new Failure('forbidden', `A ${kind} is the provider's to ask for. Stop or start the instance instead.`);
  }
}
