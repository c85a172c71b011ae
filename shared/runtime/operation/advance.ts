import { setTimeout as pause } from 'node:timers/promises';
import { inSpan } from '#shared/adapters/tracing/spans.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Decision, decide, type StepResult } from '#shared/domain/operation/decide.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import type { Lease } from '#shared/domain/operation/ports.ts';
import { knownVersions, type Step, type StepContext, stepsOf } from '#shared/domain/operation/step.ts';
import { cancel } from './cancel.ts';
import { renewMeanwhile } from './renew.ts';
import {
  type AdvanceOptions,
  type AdvanceOutcome,
  fail,
  type Run,
  type RunnableOperation,
  type Turn,
  takeOver,
  tellTrouble,
} from './run.ts';
import { takeBack } from './take-back.ts';

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
    knownVersions: knownVersions(definition),
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
    const begun = { pausedMs: 0, hasTakenOver: false, hasLooked: false, lastActed: undefined };
    const outcome = await runUntilOvertaken({ work, options, context, lease, hasTime, ...begun });
    if (outcome === 'succeeded' || outcome === 'failed' || outcome === 'cancelled') {
      options.onEnd?.({ operationId, outcome, ageMs: taken.operation.ageMs + clock() - startedMs });
    }
    return outcome;
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
  const { operation } = run.context;
  const steps = stepsOf(run.work.definition, operation.definitionVersion);
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
  const end = await run.work.succeed(run.context);
  if (end === 'succeeded') return 'succeeded';
  const last = before ?? operation.step ?? '';
  return await cancel(run, { step: last, attempt: 1, before: null }, { isOvertaken: end === 'overtaken' });
}

async function runStep<Context extends StepContext>(
  run: Run<Context>,
  step: Step<Context>,
  turn: Turn,
): Promise<AdvanceOutcome | 'done'> {
  const { records, leaseMs } = run.options;
  for (;;) {
    const begun = await records.beginStep(run.lease, { ...turn, leaseMs });
    if (begun.cancelRequested) return await cancel(run, turn, { isOvertaken: begun.overtaken });
    if (begun.deadlinePassed) {
      const { waitingFor } = run.context.operation;
      const why = waitingFor === null ? '' : ` It last waited for ${waitingFor}.`;
      const text = `Step ${step.name} was not done before the operation's deadline.${why} Retry it, or cancel it.`;
      const failure = new Failure('deadline-exceeded', text);
      return await fail(run, turn, { failure, refusesCancel: false });
    }
    const decision = await lookAndAct(run, step, turn);
    const end = await carryOut(run, turn, decision);
    if (end !== 'look-again') return end;
  }
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
      if (step.touchesServer !== false) await takeOver(run);
      run.hasLooked = true;
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
  const attributes = { 'fleet.operation_id': run.lease.operationId, 'fleet.operation_kind': run.work.definition.kind };
  try {
    return { look: await inSpan({ name: `${options.phase} ${step.name}`, attributes }, options.work) };
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

/** A wait this short is not worth another request: the tick comes every few seconds only. */
const shortWaitMs = 2_000;
/** All short waits of one request together. */
const longestPauseMs = 4_000;

async function carryOut<Context extends StepContext>(
  run: Run<Context>,
  turn: Turn,
  decision: Decision,
): Promise<AdvanceOutcome | 'done' | 'look-again'> {
  const { step, attempt } = turn;
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
      return await fail(run, turn, { failure: decision.failure, refusesCancel: false });
    case 'act':
      throw new Failure('internal', `Step ${step} was told to act after it had acted.`);
    default: {
      const unreachable: never = decision;
      return unreachable;
    }
  }
}
