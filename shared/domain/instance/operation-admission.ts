import { Failure } from '../failure.ts';
import type { OperationKind } from '../operation/operation.ts';
import { type Instance, isMade, isWantedRunning, type SuspensionReason } from './instance.ts';

/** What the records say about an instance that something is asked of, read under its row's lock. */
export type OperationFacts = Pick<Instance, 'desiredState' | 'suspensions' | 'status' | 'observedGeneration'> & {
  customerId: string;
  /** A provisioning that may still end well. */
  isBeingMade: boolean;
  /** Terminated, and the window for an undo is over. */
  isPastUndo: boolean;
  isPurged: boolean;
  /** The customer's instances that are not terminated, and how many he may have. */
  liveInstances: number;
  quota: number;
};

/** What is asked, and what was found out about it before the transaction. */
export type AskedOperation = {
  kind: OperationKind;
  instanceId: string;
  cause: SuspensionReason | null;
  /** Why the customer's bills keep the instance from running; undefined when they do not. */
  billingRefusal: Failure | undefined;
  /** Why there is no final backup a purge could rely on; undefined when there is one, or none is wanted. */
  backupRefusal: Failure | undefined;
  /** Of a backup: is it the final one, made of what a termination has left? */
  isFinal?: boolean;
};

type Rule = (asked: AskedOperation, facts: OperationFacts) => Failure | undefined;

const refuse = (code: 'not-allowed' | 'suspended' | 'terminated' | 'quota-exceeded', text: string) =>
  new Failure(code, text);

const isAlive: Rule = ({ instanceId }, { desiredState }) =>
  desiredState === 'terminated'
    ? refuse('terminated', `Instance ${instanceId} is terminated. Undo its termination first, while that is possible.`)
    : undefined;

const wasMade: Rule = ({ instanceId }, facts) =>
  isMade(facts) || facts.isBeingMade
    ? undefined
    : refuse('not-allowed', `Instance ${instanceId} was never made. Retry its provisioning, or cancel it.`);

const wasEverMade: Rule = ({ instanceId }, facts) =>
  isMade(facts)
    ? undefined
    : refuse(
        'not-allowed',
        `Instance ${instanceId} was never made: there is nothing to bring back. Ask for a new one.`,
      );

const hasSomethingToKeep: Rule = ({ instanceId }, facts) =>
  isMade(facts)
    ? undefined
    : refuse('not-allowed', `Instance ${instanceId} was never made: there is nothing to back up.`);

const wasMadeOrEnded: Rule = (asked, facts) =>
  facts.desiredState === 'terminated' ? undefined : wasMade(asked, facts);

const isNotSuspended: Rule = ({ instanceId }, { suspensions }) =>
  suspensions.length === 0
    ? undefined
    : refuse(
        'suspended',
        `Instance ${instanceId} is suspended (${suspensions.join(', ')}). It starts when the suspension is lifted.`,
      );

const billsAllowIt: Rule = ({ billingRefusal }) => billingRefusal;

const isWanted: Rule = ({ instanceId }, facts) =>
  isWantedRunning(facts)
    ? undefined
    : refuse('not-allowed', `Instance ${instanceId} is not meant to run. Start it instead.`);

const isSuspendedFor: Rule = ({ instanceId, cause }, { suspensions }) =>
  cause !== null && suspensions.includes(cause)
    ? undefined
    : refuse('not-allowed', `Instance ${instanceId} is not suspended for ${cause}. There is nothing to resume.`);

const isNotTerminated: Rule = ({ instanceId }, { desiredState }) =>
  desiredState === 'terminated'
    ? refuse('terminated', `Instance ${instanceId} is terminated already. There is nothing more to do.`)
    : undefined;

const isTerminated: Rule = ({ kind, instanceId }, { desiredState }) =>
  desiredState === 'terminated'
    ? undefined
    : refuse('not-allowed', `Instance ${instanceId} is not terminated. ${beforePurge[kind] ?? ''}`.trimEnd());

const beforePurge: Partial<Record<OperationKind, string>> = {
  purge: 'Terminate it first, and wait until the window for an undo is over.',
  undo: 'There is nothing to undo.',
};

const isNotPurged: Rule = ({ instanceId }, { isPurged }) =>
  isPurged ? refuse('terminated', `Instance ${instanceId} is purged: its data is gone for good.`) : undefined;

const isWithinWindow: Rule = ({ instanceId }, { isPastUndo }) =>
  isPastUndo
    ? refuse('terminated', `The termination of instance ${instanceId} can no longer be undone: its window is over.`)
    : undefined;

const isPastWindow: Rule = ({ instanceId }, { isPastUndo }) =>
  isPastUndo
    ? undefined
    : refuse('not-allowed', `The termination of instance ${instanceId} can still be undone. Purge it after that.`);

const hasFinalBackup: Rule = ({ backupRefusal }) => backupRefusal;

const isFinalOfTerminated: Rule = ({ instanceId, isFinal = false }, { desiredState }) => {
  const isTerminatedNow = desiredState === 'terminated';
  if (isFinal === isTerminatedNow) return undefined;
  return isTerminatedNow
    ? refuse('terminated', `Instance ${instanceId} is terminated: only its final backup can be made, of kind "final".`)
    : refuse('not-allowed', `Instance ${instanceId} is not terminated: its final backup is made after that.`);
};

const quotaHasRoom: Rule = (_asked, { liveInstances, quota }) =>
  liveInstances < quota
    ? undefined
    : refuse(
        'quota-exceeded',
        `The customer has ${liveInstances} instances and may have ${quota}. Terminate one, or raise the quota.`,
      );

/** What must hold for each kind, in this order; the first that does not is the refusal. */
const rules: Readonly<Record<OperationKind, readonly Rule[]>> = {
  provision: [],
  start: [isAlive, wasMade, isNotSuspended, billsAllowIt],
  stop: [isAlive, wasMade],
  restart: [isAlive, wasMade, isNotSuspended, isWanted, billsAllowIt],
  suspend: [isAlive],
  resume: [isAlive, isSuspendedFor, billsAllowIt],
  terminate: [isNotTerminated],
  undo: [isNotPurged, isTerminated, isWithinWindow, wasEverMade, quotaHasRoom, billsAllowIt],
  purge: [isNotPurged, isTerminated, isPastWindow, hasFinalBackup],
  // Also of one that is terminated: what a termination left half done is taken away.
  repair: [isNotPurged, wasMadeOrEnded],
  // Of a stopped and of a suspended one, too: its data is as much worth.
  backup: [isNotPurged, hasSomethingToKeep, isFinalOfTerminated],
  // Its backups outlive it.
  verify: [],
  // Of a stopped and of a suspended one, too: it stays so.
  restore: [isNotPurged, isAlive, wasMade],
  // The new instance's first operations: what they need is asked when its row is written.
  clone: [],
  import: [],
  // Its backups are the customer's, also when it is terminated.
  export: [isNotPurged],
};

/** The first reason to refuse what is asked of an instance, or undefined. Pure. */
export function refuseOperation(asked: AskedOperation, facts: OperationFacts): Failure | undefined {
  for (const rule of rules[asked.kind]) {
    const refusal = rule(asked, facts);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** Said of an instance that is not there and of one that is another customer's: the same, so that nothing is given away. */
export function unknownInstance(instanceId: string): Failure {
  return new Failure('not-found', `There is no instance ${instanceId}.`);
}
