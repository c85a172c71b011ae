import { asFailure, type Failure } from '#shared/domain/failure.ts';
import { type Decision, retryDelayMs } from '#shared/domain/operation/decide.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import type { Lease, OperationRecords } from '#shared/domain/operation/ports.ts';
import type { OperationDefinition, Step, StepContext } from '#shared/domain/operation/step.ts';

/** What an advance came to; also the value of the `x-outcome` header. */
export type AdvanceOutcome =
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'waiting'
  | 'continues'
  | 'held'
  | 'finished'
  | 'queued'
  | 'unknown'
  | 'other-version'
  | 'backing-off'
  | 'fenced';

/** What the runner needs from an operation's function: its steps and how its ends are written. */
export type RunnableOperation<Context extends StepContext> = {
  definition: OperationDefinition<Context>;
  /** Reads what the steps work on. */
  load(operation: Operation): Promise<Context>;
  /** Before the first step of a fresh lease: raises the fence in the stores that have one of their own. */
  takeOver(context: Context): Promise<void>;
  /**
   * Each of the three ends is one transaction: operation, instance, audit and outgoing events. A success gives way to a
   * cancel that was asked for, or to a later operation that overtakes it, and says so.
   */
  succeed(context: Context): Promise<'succeeded' | 'requested' | 'overtaken'>;
  /** `refusesCancel`: the failure is why a cancel that was asked for is not carried out. */
  fail(context: Context, end: { step: string; failure: Failure; refusesCancel: boolean }): Promise<void>;
  cancel(context: Context, end: { isOvertaken: boolean }): Promise<void>;
  /**
   * Takes away what nobody may find after an end that is not a success, before that end is written, such as a Job that is
   * still at work. Repeatable; the operation does not end before it has been done.
   */
  release?(context: Context, why: Failure): Promise<void>;
  /** Why what was made must not be undone, if there is a reason. Asked before anything is. */
  objectToCancel(context: Context): Promise<Failure | undefined>;
};

export type AdvanceOptions = {
  records: OperationRecords;
  /** Names this process in the lease. */
  holder: string;
  /** How long a taken or renewed lease lasts. It is renewed while a step runs, up to `longestStepMs`. */
  leaseMs: number;
  /** A step begins, or is looked at again, only before this much time has gone; then the tick or an event goes on. */
  budgetMs: number;
  /** A step that takes longer loses its lease: somebody else may go on then, and this one's writes are refused. */
  longestStepMs?: number;
  clock?: () => number;
  random?: () => number;
  pause?: (milliseconds: number) => Promise<unknown>;
  onStep?: (step: { operationId: string; name: string; phase: 'look' | 'act'; milliseconds: number }) => void;
  /** A step threw; `next` says what becomes of it. */
  onTrouble?: (trouble: { operationId: string; step: string; failure: Failure; next: Decision['next'] }) => void;
  /** The operation came to an end; `ageMs` counts from its first lease, by the database's clock. */
  onEnd?: (end: { operationId: string; outcome: 'succeeded' | 'failed' | 'cancelled'; ageMs: number }) => void;
};

/** The state of one call of `advance`. */
export type Run<Context extends StepContext> = {
  work: RunnableOperation<Context>;
  options: AdvanceOptions;
  context: Context;
  lease: Lease;
  hasTime: () => boolean;
  /** Waited within this request so far. */
  pausedMs: number;
  /** The stores know this lease's fence. */
  hasTakenOver: boolean;
  /** A step was looked at under this lease. */
  hasLooked: boolean;
  /** The step whose act was begun last. */
  lastActed: Step<Context> | undefined;
};

/** A step's turn: its name, its tries, and the step that ended before it in this run. */
export type Turn = { step: string; attempt: number; before: string | null };

/** Raises the fence in the stores that have one of their own: once per lease, before anything looks or acts there. */
export async function takeOver<Context extends StepContext>(run: Run<Context>): Promise<void> {
  if (run.hasTakenOver) return;
  await run.work.takeOver(run.context);
  run.hasTakenOver = true;
}

/** Ends the operation as failed, for now. A release that fails is tried again first, for as long as it takes. */
export async function fail<Context extends StepContext>(
  run: Run<Context>,
  turn: Turn,
  end: { failure: Failure; refusesCancel: boolean },
): Promise<AdvanceOutcome> {
  const { step } = turn;
  try {
    if (!end.refusesCancel) await run.work.release?.(run.context, end.failure);
  } catch (error) {
    return await tryAgain(run, turn, error);
  }
  await run.work.fail(run.context, { step, ...end });
  return 'failed';
}

/** What an operation needs before it may end went wrong: it is tried again a little later. */
export async function tryAgain<Context extends StepContext>(
  run: Run<Context>,
  { step, attempt }: Turn,
  error: unknown,
): Promise<AdvanceOutcome> {
  const failure = asFailure(error);
  if (failure.code === 'fenced') return 'fenced';
  tellTrouble(run, step, { failure, next: 'try-again' });
  const afterMs = retryDelayMs(attempt, (run.options.random ?? Math.random)());
  await run.options.records.tryLater(run.lease, { step, attempt: attempt + 1, failure, afterMs });
  return 'waiting';
}

/** Tells whoever watches the runner that a step threw. */
export function tellTrouble<Context extends StepContext>(
  run: Run<Context>,
  step: string,
  { failure, next }: { failure: Failure; next: Decision['next'] },
): void {
  run.options.onTrouble?.({ operationId: run.lease.operationId, step, failure, next });
}
