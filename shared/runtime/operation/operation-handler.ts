import { operationAdvance } from '#events/operation/advance.ts';
import { operationCancel } from '#events/operation/cancel.ts';
import { operationRetry } from '#events/operation/retry.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { operationRecords } from '#shared/adapters/postgres/operation-records.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { StepContext } from '#shared/domain/operation/step.ts';
import type { Authority } from '../authorise.ts';
import type { Platform } from '../platform.ts';
import { advance } from './advance.ts';
import { commandOperation } from './command.ts';
import { operationMetrics } from './operation-metrics.ts';
import type { AdvanceOptions, RunnableOperation } from './run.ts';

/** The commands every operation's function understands besides its own request. */
export const operationCommands = [operationAdvance, operationRetry, operationCancel] as const;
export type OperationCommandEvent = TypedEvent<(typeof operationCommands)[number]>;

export type OperationHandler = {
  /** Advance, retry, cancel. */
  command(event: OperationCommandEvent, authority: Authority): Promise<string>;
  /**
   * Goes on with an operation whose row is committed. Never throws: the event is done, and what fails now is found by
   * the tick.
   */
  goOn(operationId: string): Promise<string>;
};

/** The part of an operation's function that is the same for every kind. */
export function operationHandler<Context extends StepContext>(
  platform: Platform,
  work: RunnableOperation<Context>,
  timing: { leaseMs: number; budgetMs: number },
): OperationHandler {
  const options: AdvanceOptions = {
    records: operationRecords(platform.database),
    holder: platform.holder,
    ...timing,
    ...watchSteps(platform, work.definition.kind),
  };
  const goOn = async (operationId: string): Promise<string> => {
    try {
      return await advance(work, operationId, options);
    } catch (error) {
      platform.log.warn({ err: asFailure(error), operationId }, 'an advance broke off; the tick goes on with it');
      return 'broke-off';
    } finally {
      await platform.flush();
    }
  };
  return {
    goOn,
    async command(event, { customerId }) {
      const { operation: operationId, instance: instanceId, kind, reason } = event.data;
      if (kind !== work.definition.kind) {
        const text = `data.kind is ${kind}, but this function carries out ${work.definition.kind}. Mend the Trigger or the sender.`;
        throw new Failure('invalid-event', text);
      }
      // Looking once more harms nobody, whoever asks for it.
      if (event.type === operationAdvance.type) return await goOn(operationId);
      const word = event.type === operationRetry.type ? 'retry' : 'cancel';
      const outcome = await commandOperation(platform.database, event, {
        word,
        operationId,
        instanceId,
        definition: work.definition,
        reason,
        customerId,
      });
      if (outcome === 'unknown') {
        const text = `Instance ${instanceId} has no operation ${operationId} of kind ${kind} to ${word}.`;
        throw new Failure('not-found', text);
      }
      return outcome === 'ignored' ? outcome : await goOn(operationId);
    },
  };
}

function watchSteps(platform: Platform, kind: string): Pick<AdvanceOptions, 'onStep' | 'onTrouble' | 'onEnd'> {
  const metrics = operationMetrics(platform.metrics.registry, kind);
  return {
    onEnd: metrics.onEnd,
    onStep: (step) => {
      metrics.onStep(step);
      const { operationId, name, phase, milliseconds } = step;
      platform.log.debug({ operationId, step: name, phase, milliseconds: Math.round(milliseconds) }, 'step');
    },
    onTrouble: (trouble) => {
      metrics.onTrouble(trouble);
      const { operationId, step, failure, next } = trouble;
      const facts = { operationId, step, code: failure.code, next };
      // A failure without a known cause is a bug: its stack is what one needs.
      if (failure.code === 'internal') platform.log.error({ ...facts, err: failure.cause ?? failure }, 'step failed');
      else platform.log.warn({ ...facts, reason: failure.message }, 'step failed');
    },
  };
}
