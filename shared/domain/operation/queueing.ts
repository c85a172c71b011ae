import type { OperationKind } from './operation.ts';

/**
 * What a new operation does about an unfinished one of the same instance.
 * `wait`: it takes its turn after it. `cancel`: the unfinished one stops at its next step, with nothing undone; the new
 * one takes the instance from there. `refuse`: the request is not accepted. `coalesce`: the unfinished one is what is
 * asked for, if nothing was asked since; it answers for both.
 *
 * No pair of these kinds runs beside another: each of them changes the instance's runtime, or must not have it changed
 * under its hands.
 */
export type Relation = 'wait' | 'cancel' | 'refuse' | 'coalesce';

type Row = Readonly<Partial<Record<OperationKind, Exclude<Relation, 'wait'>>>>;

/** Requested kind × unfinished kind; what is not there waits. */
export const relations: Readonly<Record<OperationKind, Row>> = {
  // An instance's first operation: there is nothing it could meet.
  provision: {},
  start: { start: 'coalesce', repair: 'cancel', verify: 'cancel', terminate: 'refuse', purge: 'refuse' },
  stop: {
    stop: 'coalesce',
    start: 'cancel',
    restart: 'cancel',
    repair: 'cancel',
    verify: 'cancel',
    terminate: 'refuse',
    purge: 'refuse',
  },
  restart: { restart: 'coalesce', repair: 'cancel', verify: 'cancel', terminate: 'refuse', purge: 'refuse' },
  // Whoever does not pay must not run on because a start, a repair or a backup of his takes its time.
  suspend: {
    suspend: 'coalesce',
    start: 'cancel',
    restart: 'cancel',
    resume: 'cancel',
    repair: 'cancel',
    backup: 'cancel',
    verify: 'cancel',
    restore: 'cancel',
    export: 'cancel',
    terminate: 'refuse',
    purge: 'refuse',
  },
  resume: { resume: 'coalesce', repair: 'cancel', verify: 'cancel', terminate: 'refuse', purge: 'refuse' },
  terminate: {
    terminate: 'coalesce',
    provision: 'cancel',
    clone: 'cancel',
    import: 'cancel',
    start: 'cancel',
    stop: 'cancel',
    restart: 'cancel',
    suspend: 'cancel',
    resume: 'cancel',
    undo: 'cancel',
    repair: 'cancel',
    backup: 'cancel',
    verify: 'cancel',
    restore: 'cancel',
    export: 'cancel',
    purge: 'refuse',
  },
  // The final backup that it interrupts is of no use any more.
  undo: { undo: 'coalesce', repair: 'cancel', backup: 'cancel', verify: 'cancel', export: 'cancel', purge: 'refuse' },
  purge: { purge: 'coalesce', repair: 'cancel', undo: 'refuse' },
  // Whatever is at work brings about what is wanted by itself, and whatever is asked for ends a repair; what either leaves
  // is found again.
  repair: {
    repair: 'coalesce',
    verify: 'cancel',
    backup: 'refuse',
    restore: 'refuse',
    export: 'refuse',
    provision: 'refuse',
    clone: 'refuse',
    import: 'refuse',
    start: 'refuse',
    stop: 'refuse',
    restart: 'refuse',
    suspend: 'refuse',
    resume: 'refuse',
    terminate: 'refuse',
    undo: 'refuse',
    purge: 'refuse',
  },
  // Of what is not there yet, or no longer. Whatever else is at work ends before the backup begins, so that what it holds
  // is not half of it.
  backup: { backup: 'coalesce', provision: 'refuse', clone: 'refuse', import: 'refuse', purge: 'refuse' },
  // It needs nothing of the instance but its place in the queue, which it gives to everybody who wants something done.
  verify: { verify: 'coalesce', provision: 'refuse', clone: 'refuse', import: 'refuse', purge: 'refuse' },
  // Two of them asked at once are a mistake of somebody's: the second is decided when the first one's result is seen.
  restore: {
    restore: 'refuse',
    repair: 'cancel',
    verify: 'cancel',
    provision: 'refuse',
    clone: 'refuse',
    import: 'refuse',
    terminate: 'refuse',
    purge: 'refuse',
  },
  // First operations, as `provision`.
  clone: {},
  import: {},
  // Reads a backup only; it holds its place in the queue as a backup does.
  export: {
    export: 'coalesce',
    verify: 'cancel',
    provision: 'refuse',
    clone: 'refuse',
    import: 'refuse',
    purge: 'refuse',
  },
};

export function relationOf(requested: OperationKind, unfinished: OperationKind): Relation {
  return relations[requested][unfinished] ?? 'wait';
}

/** An operation that is queued, running or waiting, and not being cancelled. */
export type UnfinishedOperation = {
  id: string;
  kind: OperationKind;
  /** Of suspend and resume the reason, of backup the kind, of verify and export the backup: only those of one stand for each other. */
  cause: string | null;
  /** It had its first turn. */
  hasBegun: boolean;
};

/** What a person waits for. */
const interactive: readonly OperationKind[] = ['start', 'stop', 'restart', 'resume', 'restore'];

/**
 * Nobody waits hours for a backup that only the clock has asked for: it is asked for again. One that somebody wanted, before
 * an upgrade say, is waited for.
 */
function givesWay(other: UnfinishedOperation, to: OperationKind): boolean {
  return other.kind === 'backup' && other.cause === 'scheduled' && interactive.includes(to);
}

/** Operations of one instance that may be unfinished at a time. */
export const queueLimit = 20;

export type Queueing =
  | { decision: 'enter'; overtakes: readonly UnfinishedOperation[] }
  | { decision: 'coalesce'; with: UnfinishedOperation }
  | { decision: 'refuse'; because: UnfinishedOperation | 'queue-full' };

/** Whoever may not run must not keep himself running by filling the queue; and what lifts that comes through, too. */
const limitless: readonly OperationKind[] = ['suspend', 'resume', 'terminate'];

/**
 * A restart that has begun may have replaced the pods already, and a backup may have looked at the data before what it is
 * asked for now was in it: what is asked for after that is another one.
 */
const anew: readonly OperationKind[] = ['restart', 'backup'];

function answersFor(last: UnfinishedOperation, requested: { kind: OperationKind; cause: string | null }): boolean {
  return last.cause === requested.cause && !(anew.includes(requested.kind) && last.hasBegun);
}

/**
 * Without terminations that are to be undone: the instance is wanted again, so whoever comes now takes his turn behind the
 * undo. A suspension that was refused for such a one would leave running what comes back.
 */
function standing(unfinished: readonly UnfinishedOperation[]): readonly UnfinishedOperation[] {
  const lastUndo = unfinished.findLastIndex(({ kind }) => kind === 'undo');
  return unfinished.filter(({ kind }, index) => kind !== 'terminate' || index > lastUndo);
}

/** Decides about a request among the unfinished operations of its instance, oldest first. Pure. */
export function queue(
  requested: { kind: OperationKind; cause: string | null },
  unfinished: readonly UnfinishedOperation[],
): Queueing {
  const relation = (other: UnfinishedOperation) =>
    givesWay(other, requested.kind) ? 'cancel' : relationOf(requested.kind, other.kind);
  const refusing = standing(unfinished).find((other) => relation(other) === 'refuse');
  if (refusing !== undefined) return { decision: 'refuse', because: refusing };
  const last = unfinished.at(-1);
  if (last !== undefined && relation(last) === 'coalesce' && answersFor(last, requested)) {
    return { decision: 'coalesce', with: last };
  }
  const overtakes = unfinished.filter((other) => relation(other) === 'cancel');
  const isLimited = !limitless.includes(requested.kind);
  if (isLimited && unfinished.length - overtakes.length >= queueLimit)
    return { decision: 'refuse', because: 'queue-full' };
  return { decision: 'enter', overtakes };
}
