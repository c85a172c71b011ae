import { asFailure } from '#shared/domain/failure.ts';
import { retryDelayMs } from '#shared/domain/operation/decide.ts';
import { type StepContext, stepsOf } from '#shared/domain/operation/step.ts';
import { type AdvanceOutcome, type Run, type Turn, takeOver, tellTrouble } from './run.ts';

/**
 * Undoes, last step first, what this operation made, unless there is a reason not to. An undo that fails is tried again for
 * as long as it takes: only what is gone lets the operation end. One that a later operation has overtaken ends where it
 * stands: the later one takes the instance from there.
 */
export async function cancel<Context extends StepContext>(
  run: Run<Context>,
  turn: Turn,
  { isOvertaken }: { isOvertaken: boolean },
): Promise<AdvanceOutcome> {
  if (isOvertaken) {
    await run.work.cancel(run.context, { isOvertaken });
    return 'cancelled';
  }
  const { records, leaseMs } = run.options;
  const { operation } = run.context;
  let undoing = turn.step;
  try {
    // Without a step noted nothing has ever acted: what is there under these names is somebody else's.
    const steps = stepsOf(run.work.definition, operation.definitionVersion);
    const made = operation.step === null && !run.hasLooked ? [] : steps;
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
  await run.work.cancel(run.context, { isOvertaken });
  return 'cancelled';
}
