import type { Failure } from '../failure.ts';
import type { Operation } from './operation.ts';

/** Who holds the lease of an operation, and under which fence it writes. */
export type Lease = { operationId: string; fence: number };

/**
 * Answer to taking the lease. `other-version`: it was begun with steps that are not among those the caller knows. `held`: somebody else works on it and was told to look once more before it waits.
 * `backing-off`: a try has failed, and the time of the next one has not come.
 */
export type Taken =
  | { taken: true; operation: Operation }
  | { taken: false; because: 'held' | 'finished' | 'queued' | 'unknown' | 'other-version' | 'backing-off' };

/**
 * The records of operations, as the runner needs them. Every write names the lease; one that was taken over throws
 * Failure `fenced` and has changed nothing. Time is the database's.
 */
export type OperationRecords = {
  take(
    operationId: string,
    options: { kind: string; knownVersions: readonly number[]; holder: string; leaseMs: number },
  ): Promise<Taken>;
  /** Closes the step before, notes the new one, renews the lease. */
  beginStep(
    lease: Lease,
    options: { step: string; attempt: number; before: string | null; leaseMs: number },
  ): Promise<{ cancelRequested: boolean; overtaken: boolean; deadlinePassed: boolean }>;
  /**
   * Is the operation being undone, or was it? For a process that lost its lease: it needs none. One that a later
   * operation has ended is not undone: `none`.
   */
  cancellation(operationId: string): Promise<'none' | 'requested' | 'carried-out'>;
  /** Makes the lease last longer while a step takes its time. Does nothing for one that was taken over. */
  renew(lease: Lease, options: { leaseMs: number }): Promise<void>;
  /**
   * Gives the lease back until an event or `checkAfterMs`; the step's tries count from 1 again. `woken`: an event came
   * meanwhile, the lease is kept.
   */
  wait(lease: Lease, options: { step: string; for: string; checkAfterMs: number }): Promise<'waiting' | 'woken'>;
  /** Gives the lease back because this request's time is used up: due at once, woken or not. */
  giveBack(lease: Lease, options: { step: string; outcome: 'done' | 'waiting' }): Promise<void>;
  /** Notes a failed try and gives the lease back until `afterMs` is over. */
  tryLater(lease: Lease, options: { step: string; attempt: number; failure: Failure; afterMs: number }): Promise<void>;
};
