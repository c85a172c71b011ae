import { Failure } from '#shared/domain/failure.ts';
import { type StepContext, stepsOf } from '#shared/domain/operation/step.ts';
import { type AdvanceOutcome, fail, type Run, type Turn, takeOver, tryAgain } from './run.ts';

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
  if (isOvertaken) return await giveWay(run, turn);
  const { records, leaseMs } = run.options;
  const { operation } = run.context;
  let undoing = turn.step;
  try {
    // Without a step noted nothing has ever acted: what is there under these names is somebody else's.
    const steps = stepsOf(run.work.definition, operation.definitionVersion);
    const isNew = operation.step === null && !run.hasLooked;
    const made = isNew ? [] : steps;
    // One that was released after it failed has no step noted either, and may have brought about what cannot be undone.
    if (!isNew) await takeOver(run);
    if (!isNew || run.work.release !== undefined) {
      const objection = await run.work.objectToCancel(run.context);
      if (objection !== undefined) {
        return await fail(run, turn, { failure: objection, refusesCancel: true });
      }
    }
    for (const step of made.toReversed()) {
      if (step.undo === undefined) continue;
      undoing = step.name;
      await records.beginStep(run.lease, { step: undoing, attempt: turn.attempt, before: null, leaseMs });
      await step.undo(run.context);
    }
    await run.work.release?.(run.context, new Failure('cancelled', 'It was cancelled.'));
  } catch (error) {
    return await tryAgain(run, { ...turn, step: undoing }, error);
  }
  await run.work.cancel(run.context, { isOvertaken });
  return 'cancelled';
}

async function giveWay<Context extends StepContext>(run: Run<Context>, turn: Turn): Promise<AdvanceOutcome> {
  try {
    await run.work.release?.(run.context, new Failure('superseded', 'A later operation has taken its place.'));
  } catch (error) {
    return await tryAgain(run, turn, error);
  }
  await run.work.cancel(run.context, { isOvertaken: true });
  return 'cancelled';
}
