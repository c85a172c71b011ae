import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Decision, decide, type StepResult } from '#shared/domain/operation/decide.ts';
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
  | 'fenced';

/** What the runner needs from an operation's function: its steps and how its ends are written. */
export type RunnableOperation<Context extends StepContext> = {
  definition: OperationDefinition<Context>;
  /** Reads what the steps work on. */
  load(operation: Operation): Promise<Context>;
  /** Before the first step of a fresh lease: raises the fence in the stores that have one of their own. */
  takeOver(context: Context): Promise<void>;
  /** Each of the three ends is one transaction: operation, instance, audit and outgoing events. */
  succeed(context: Context): Promise<void>;
  fail(context: Context, step: string, failure: Failure): Promise<void>;
  cancel(context: Context): Promise<void>;
};

export type AdvanceOptions = {
  records: OperationRecords;
  /** Names this process in the lease. */
  holder: string;
  /** How long a taken or renewed lease lasts. Longer than any step. */
  leaseMs: number;
  /** A new step begins only before this much time has gone; then the tick or an event goes on. */
  budgetMs: number;
  clock?: () => number;
  random?: () => number;
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
  startedMs: number;
};

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
  try {
    const context = await work.load(taken.operation);
    const run: Run<Context> = { work, options, context, lease, startedMs: clock() };
    const first = definition.steps.findIndex((step) => step.name === taken.operation.step);
    return await runSteps(run, Math.max(first, 0), clock);
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'fenced') return 'fenced';
    // Reading the records failed, not a step: the lease runs out by itself and the next advance begins anew.
    throw failure;
  }
}

async function runSteps<Context extends StepContext>(
  run: Run<Context>,
  firstIndex: number,
  clock: () => number,
): Promise<AdvanceOutcome> {
  const { steps } = run.work.definition;
  let before: string | null = null;
  let isFresh = true;
  for (let index = firstIndex; index < steps.length; index += 1) {
    const step = steps[index];
    if (step === undefined) break;
    const isResumed = isFresh && run.context.operation.step === step.name;
    const attempt = isResumed ? run.context.operation.attempt : 1;
    const outcome = await runStep(run, step, { attempt, before, takeOver: isFresh });
    if (outcome !== 'done') return outcome;
    isFresh = false;
    before = step.name;
    if (clock() - run.startedMs > run.options.budgetMs && index + 1 < steps.length) {
      await run.options.records.wait(run.lease, { step: step.name, for: 'its next turn', checkAfterMs: 0 });
      return 'continues';
    }
  }
  await run.work.succeed(run.context);
  return 'succeeded';
}

async function runStep<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  turn: { attempt: number; before: string | null; takeOver: boolean },
): Promise<AdvanceOutcome | 'done'> {
  const { records, leaseMs } = run.options;
  for (;;) {
    const begun = await records.beginStep(run.lease, {
      step: step.name,
      attempt: turn.attempt,
      before: turn.before,
      leaseMs,
    });
    if (begun.cancelRequested) return await cancel(run);
    if (begun.deadlinePassed) {
      const { waitingFor } = run.context.operation;
      const why = waitingFor === null ? '' : ` It last waited for ${waitingFor}.`;
      const text = `Step ${step.name} was not done before the operation's deadline.${why} Retry it, or cancel it.`;
      await run.work.fail(run.context, step.name, new Failure('deadline-exceeded', text));
      return 'failed';
    }
    const decision = await lookAndAct(run, step, turn);
    const end = await carryOut(run, step, { decision, attempt: turn.attempt });
    if (end !== 'look-again') return end;
  }
}

async function lookAndAct<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  turn: { attempt: number; takeOver: boolean },
): Promise<Decision> {
  const random = (run.options.random ?? Math.random)();
  const result = await attemptStep(run, step, {
    phase: 'look',
    work: async () => {
      if (turn.takeOver) await run.work.takeOver(run.context);
      return await step.look(run.context);
    },
  });
  const decision = decide(result, { attempt: turn.attempt, mayAct: true, random });
  if (decision.next !== 'act') return decision;
  const acted = await attemptStep(run, step, {
    phase: 'act',
    work: async () => (await step.act(run.context)) ?? { found: 'done' },
  });
  return decide(acted, { attempt: turn.attempt, mayAct: false, random });
}

async function attemptStep<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  options: { phase: 'look' | 'act'; work: () => ReturnType<Step<Context>['look']> },
): Promise<StepResult> {
  const startedMs = performance.now();
  try {
    return { look: await options.work() };
  } catch (thrown) {
    return { thrown };
  } finally {
    run.options.onStep?.({
      operationId: run.lease.operationId,
      name: step.name,
      phase: options.phase,
      milliseconds: performance.now() - startedMs,
    });
  }
}

async function carryOut<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  { decision, attempt }: { decision: Decision; attempt: number },
): Promise<AdvanceOutcome | 'done' | 'look-again'> {
  const { records } = run.options;
  if ('failure' in decision) {
    const { failure, next } = decision;
    run.options.onTrouble?.({ operationId: run.lease.operationId, step: step.name, failure, next });
  }
  switch (decision.next) {
    case 'step':
      return 'done';
    case 'stand-back':
      return 'fenced';
    case 'wait': {
      const { for: what, checkAfterMs } = decision;
      const waits = await records.wait(run.lease, { step: step.name, for: what, checkAfterMs });
      return waits === 'woken' ? 'look-again' : 'waiting';
    }
    case 'try-again': {
      const { failure, afterMs } = decision;
      await records.tryLater(run.lease, { step: step.name, attempt: attempt + 1, failure, afterMs });
      return 'waiting';
    }
    case 'fail':
      await run.work.fail(run.context, step.name, decision.failure);
      return 'failed';
    case 'act':
      throw new Failure('internal', `Step ${step.name} was told to act after it had acted.`);
    default: {
      const unreachable: never = decision;
      return unreachable;
    }
  }
}

/** Undoes, last step first, what this operation made; stays where it is when that fails, to be tried again. */
async function cancel<Context extends StepContext>(run: Run<Context>): Promise<AdvanceOutcome> {
  const { steps } = run.work.definition;
  const name = run.context.operation.step ?? steps[0]?.name ?? 'cancel';
  try {
    await run.work.takeOver(run.context);
    for (const step of steps.toReversed()) await step.undo?.(run.context);
    await run.work.cancel(run.context);
    return 'cancelled';
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'fenced') return 'fenced';
    const { attempt } = run.context.operation;
    await run.options.records.tryLater(run.lease, { step: name, attempt: attempt + 1, failure, afterMs: 5_000 });
    return 'waiting';
  }
}
