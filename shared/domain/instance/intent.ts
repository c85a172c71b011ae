import type { OperationKind } from '../operation/operation.ts';
import type { Instance, SuspensionReason } from './instance.ts';

/** The facts of an instance's row that say what is wanted. */
export type Wish = Pick<Instance, 'desiredState' | 'suspensions'> & {
  /** What was wanted when it was terminated; null while it lives. */
  desiredBefore: 'running' | 'stopped' | null;
};

/** What accepting a request changes about what is wanted. Nothing at all: the generation stays. */
export type Intent = {
  desiredState?: Instance['desiredState'];
  opens?: SuspensionReason;
  closes?: SuspensionReason;
  /** The pods must be new ones. */
  restarts?: true;
  tombstone?: 'set' | 'lifted';
};

/**
 * What a request makes wanted, in the transaction that accepts it: gates and the instance's page know it from that
 * commit on. The operation then brings about what the row wants when its turn comes. Pure.
 */
export function intentOf(kind: OperationKind, wish: Wish, cause: SuspensionReason | null): Intent {
  switch (kind) {
    case 'start':
      return wish.desiredState === 'running' ? {} : { desiredState: 'running' };
    case 'stop':
      return wish.desiredState === 'stopped' ? {} : { desiredState: 'stopped' };
    case 'restart':
      return { restarts: true };
    case 'suspend':
      return cause === null || wish.suspensions.includes(cause) ? {} : { opens: cause };
    case 'resume':
      return cause !== null && wish.suspensions.includes(cause) ? { closes: cause } : {};
    case 'terminate':
      return wish.desiredState === 'terminated' ? {} : { desiredState: 'terminated', tombstone: 'set' };
    case 'undo':
      return wish.desiredState === 'terminated'
        ? {
            desiredState: wish.desiredBefore ?? 'running',
            tombstone: 'lifted',
            // Bills were asked before it was accepted, and have nothing against it.
            ...(wish.suspensions.includes('billing') ? { closes: 'billing' as const } : {}),
          }
        : {};
    case 'provision':
    case 'purge':
    case 'repair':
    case 'backup':
    case 'verify':
    case 'restore':
    case 'clone':
    case 'import':
    case 'export':
      return {};
    default: {
      const unreachable: never = kind;
      return unreachable;
    }
  }
}

/** The row after an intent; for models and tests. */
export function after(wish: Wish, intent: Intent): Wish {
  const desiredState = intent.desiredState ?? wish.desiredState;
  const closed = wish.suspensions.filter((reason) => reason !== intent.closes);
  return {
    desiredState,
    suspensions: intent.opens === undefined ? closed : [...closed, intent.opens],
    desiredBefore: beforeOf(wish, intent),
  };
}

function beforeOf(wish: Wish, intent: Intent): Wish['desiredBefore'] {
  if (intent.tombstone === 'lifted') return null;
  if (intent.tombstone !== 'set') return wish.desiredBefore;
  return wish.desiredState === 'stopped' ? 'stopped' : 'running';
}
