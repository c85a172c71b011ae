import { setTimeout as pause } from 'node:timers/promises';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Decision, decide, retryDelayMs, type StepResult } from '#shared/domain/operation/decide.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import type { Lease, OperationRecords } from '#shared/domain/operation/ports.ts';
import type { OperationDefinition, Step, StepContext } from '#shared/domain/operation/step.ts';
import { takeBack } from './take-back.ts';

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
  /** Each of the three ends is one transaction: operation, instance, audit and outgoing events. */
  succeed(context: Context): Promise<'succeeded' | 'cancel-requested'>;
  /** `refusesCancel`: the failure is why a cancel that was asked for is not carried out. */
  fail(context: Context, end: { step: string; failure: Failure; refusesCancel: boolean }): Promise<void>;
  cancel(context: Context): Promise<void>;
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
};

/** The state of one call of `advance`. */
type Run<Context extends StepContext> = {
  work: RunnableOperation<Context>;
  options: AdvanceOptions;
  context: Context;
  lease: Lease;
  hasTime: () => boolean;
  /** Waited within this request so far. */
  pausedMs: number;
  /** The stores know this lease's fence. */
  hasTakenOver: boolean;
  /** The step whose act was begun last. */
  lastActed: Step<Context> | undefined;
};

/** A step's turn: its name, its tries, and the step that ended before it in this run. */
type Turn = { step: string; attempt: number; before: string | null };

/**
 * Carries an operation as far as it will go now: takes its lease (or leaves it to its holder), then runs step after
 * step until one must wait, fails, or all are done. Safe to call at any time, by anybody, any number of times.
 * Nothing runs after it returned.
 */
export async function advance<Context extends StepContext>(
  work: RunnableOperation<Context>,
  operationId: string,
  options: AdvanceOptions,
): Promise<AdvanceOutcome> {
  const { definition } = work;
  const taken = await options.records.take(operationId, {
    kind: definition.kind,
    definitionVersion: definition.version,
    holder: options.holder,
    leaseMs: options.leaseMs,
  });
  if (!taken.taken) return taken.because;
  const lease = { operationId, fence: taken.operation.fence };
  const clock = options.clock ?? Date.now;
  const startedMs = clock();
  const hasTime = () => clock() - startedMs <= options.budgetMs;
  try {
    const context = await loadContext(work, taken.operation, { options, lease });
    if (context === undefined) return 'waiting';
    const begun = { pausedMs: 0, hasTakenOver: false, lastActed: undefined };
    return await runUntilOvertaken({ work, options, context, lease, hasTime, ...begun });
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'fenced') return 'fenced';
    // Reading or writing the records failed, not a step: the lease runs out by itself and the next advance begins anew.
    throw failure;
  }
}

/** What cannot be loaded now is tried again a little later: undefined. */
async function loadContext<Context extends StepContext>(
  work: RunnableOperation<Context>,
  operation: Operation,
  { options, lease }: { options: AdvanceOptions; lease: Lease },
): Promise<Context | undefined> {
  try {
    return await work.load(operation);
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'fenced') throw failure;
    const step = operation.step ?? 'load';
    options.onTrouble?.({ operationId: operation.id, step, failure, next: 'try-again' });
    await options.records.tryLater(lease, { step, attempt: operation.attempt, failure, afterMs: reloadAfterMs });
    return undefined;
  }
}

async function runUntilOvertaken<Context extends StepContext>(run: Run<Context>): Promise<AdvanceOutcome> {
  const outcome = await runSteps(run).catch((error: unknown) => {
    if (asFailure(error).code !== 'fenced') throw error;
    return 'fenced' as const;
  });
  const { lastActed: step, context, options } = run;
  if (outcome === 'fenced' && step?.undo !== undefined) {
    await takeBack(run.lease.operationId, async () => step.undo?.(context), {
      ...options,
      onTrouble: (failure) => tellTrouble(run, step.name, { failure, next: 'stand-back' }),
    });
  }
  return outcome;
}

/** The records are the platform's own: they are back soon, or somebody is at work on them. */
const reloadAfterMs = 5_000;

async function runSteps<Context extends StepContext>(run: Run<Context>): Promise<AdvanceOutcome> {
  const { steps } = run.work.definition;
  const { operation } = run.context;
  const first = Math.max(
    steps.findIndex(({ name }) => name === operation.step),
    0,
  );
  let before: string | null = null;
  for (const step of steps.slice(first)) {
    if (before !== null && !run.hasTime()) {
      await run.options.records.giveBack(run.lease, { step: before, outcome: 'done' });
      return 'continues';
    }
    const attempt = step.name === operation.step ? operation.attempt : 1;
    const outcome = await runStep(run, step, { step: step.name, attempt, before });
    if (outcome !== 'done') return outcome;
    before = step.name;
  }
  if ((await run.work.succeed(run.context)) === 'succeeded') return 'succeeded';
  const last = before ?? operation.step ?? '';
  return await cancel(run, { step: last, attempt: 1, before: null });
}

async function runStep<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  turn: Turn,
): Promise<AdvanceOutcome | 'done'> {
  const { records, leaseMs } = run.options;
  for (;;) {
    const begun = await records.beginStep(run.lease, { ...turn, leaseMs });
    if (begun.cancelRequested) return await cancel(run, turn);
    if (begun.deadlinePassed) {
      const { waitingFor } = run.context.operation;
      const why = waitingFor === null ? '' : ` It last waited for ${waitingFor}.`;
      const text = `Step ${step.name} was not done before the operation's deadline.${why} Retry it, or cancel it.`;
      const failure = new Failure('deadline-exceeded', text);
      await run.work.fail(run.context, { step: step.name, failure, refusesCancel: false });
      return 'failed';
    }
    const decision = await lookAndAct(run, step, turn);
    const end = await carryOut(run, turn, decision);
    if (end !== 'look-again') return end;
  }
}

/** Raises the fence in the stores that have one of their own: once per lease, before anything looks or acts there. */
async function takeOver<Context extends StepContext>(run: Run<Context>): Promise<void> {
  if (run.hasTakenOver) return;
  await run.work.takeOver(run.context);
  run.hasTakenOver = true;
}

async function lookAndAct<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  { attempt }: Turn,
): Promise<Decision> {
  const random = (run.options.random ?? Math.random)();
  const result = await attemptStep(run, step, {
    phase: 'look',
    work: async () => {
      await takeOver(run);
      return await step.look(run.context);
    },
  });
  const decision = decide(result, { attempt, mayAct: true, random });
  if (decision.next !== 'act') return decision;
  run.lastActed = step;
  const acted = await attemptStep(run, step, {
    phase: 'act',
    work: async () => (await step.act(run.context)) ?? { found: 'done' },
  });
  return decide(acted, { attempt, mayAct: false, random });
}

async function attemptStep<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  options: { phase: 'look' | 'act'; work: () => ReturnType<Step<Context>['look']> },
): Promise<StepResult> {
  const startedMs = performance.now();
  const stopRenewing = renewMeanwhile(run);
  try {
    return { look: await options.work() };
  } catch (thrown) {
    return { thrown };
  } finally {
    await stopRenewing();
    run.options.onStep?.({
      operationId: run.lease.operationId,
      name: step.name,
      phase: options.phase,
      milliseconds: performance.now() - startedMs,
    });
  }
}

/** Keeps the lease while a slow step runs. A renewal that fails changes nothing: the lease then ends in its time. */
function renewMeanwhile<Context extends StepContext>(run: Run<Context>): () => Promise<void> {
  const { records, leaseMs, longestStepMs = 60_000 } = run.options;
  const startedMs = performance.now();
  let renewal: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (performance.now() - startedMs > longestStepMs) clearInterval(timer);
    else renewal = records.renew(run.lease, { leaseMs }).catch(() => undefined);
  }, leaseMs / 3);
  return async () => {
    clearInterval(timer);
    await renewal;
  };
}

/** A wait this short is not worth another request: the tick comes every few seconds only. */
const shortWaitMs = 2_000;
/** All short waits of one request together. */
const longestPauseMs = 4_000;

async function carryOut<Context extends StepContext>(
  run: Run<Context>,
  { step, attempt }: Turn,
  decision: Decision,
): Promise<AdvanceOutcome | 'done' | 'look-again'> {
  const { records } = run.options;
  if ('failure' in decision) tellTrouble(run, step, decision);
  switch (decision.next) {
    case 'step':
      return 'done';
    case 'stand-back':
      return 'fenced';
    case 'wait': {
      const { for: what, checkAfterMs } = decision;
      const isShort = checkAfterMs <= shortWaitMs && run.pausedMs + checkAfterMs <= longestPauseMs;
      if (isShort && run.hasTime()) {
        run.pausedMs += checkAfterMs;
        await (run.options.pause ?? pause)(checkAfterMs);
        return 'look-again';
      }
      if ((await records.wait(run.lease, { step, for: what, checkAfterMs })) === 'waiting') return 'waiting';
      if (run.hasTime()) return 'look-again';
      await records.giveBack(run.lease, { step, outcome: 'waiting' });
      return 'continues';
    }
    case 'try-again': {
      const { failure, afterMs } = decision;
      await records.tryLater(run.lease, { step, attempt: attempt + 1, failure, afterMs });
      return 'waiting';
    }
    case 'fail':
      await run.work.fail(run.context, { step, failure: decision.failure, refusesCancel: false });
      return 'failed';
    case 'act':
      throw new Failure('internal', `Step ${step} was told to act after it had acted.`);
    default: {
      const unreachable: never = decision;
      return unreachable;
    }
  }
}

function tellTrouble<Context extends StepContext>(
  run: Run<Context>,
  step: string,
  { failure, next }: { failure: Failure; next: Decision['next'] },
): void {
  run.options.onTrouble?.({ operationId: run.lease.operationId, step, failure, next });
}

/**
 * Undoes, last step first, what this operation made, unless there is a reason not to. An undo that fails is tried again for as long as it takes: only
 * what is gone lets the operation end.
 */
async function cancel<Context extends StepContext>(run: Run<Context>, turn: Turn): Promise<AdvanceOutcome> {
  const { records, leaseMs } = run.options;
  const { operation } = run.context;
  let undoing = turn.step;
  try {
    // Without a step noted nothing has ever acted: what is there under these names is somebody else's.
    const made = operation.step === null && !run.hasTakenOver ? [] : run.work.definition.steps;
    if (made.length > 0) {
      await takeOver(run);
      const objection = await run.work.objectToCancel(run.context);
      if (objection !== undefined) {
        await run.work.fail(run.context, { step: turn.step, failure: objection, refusesCancel: true });
        return 'failed';
      }
    }
    for (const step of made.toReversed()) {
      if (step.undo === undefined) continue;
      undoing = step.name;
      await records.beginStep(run.lease, { step: undoing, attempt: turn.attempt, before: null, leaseMs });
      await step.undo(run.context);
    }
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'fenced') return 'fenced';
    tellTrouble(run, undoing, { failure, next: 'try-again' });
    const afterMs = retryDelayMs(turn.attempt, (run.options.random ?? Math.random)());
    await records.tryLater(run.lease, { step: undoing, attempt: turn.attempt + 1, failure, afterMs });
    return 'waiting';
  }
  await run.work.cancel(run.context);
  return 'cancelled';
}
