import { Failure, type FailureCode } from '#shared/domain/failure.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import { done, type Look, missing, type Step, type StepContext } from '#shared/domain/operation/step.ts';
import { fakeOperationRecords } from '#shared/testing/fakes/operation-records.ts';
import { advance } from './advance.ts';
import type { AdvanceOptions, RunnableOperation } from './run.ts';

type Act = () => Promise<Look | undefined>;

/**
 * An operation of three steps in a world of flags: a step's look says done when its flag is up, its act raises it and
 * its undo takes it down. `said` is everything that happened, in order.
 */
export function makeWorld(options: { leaseMs?: number; budgetMs?: number } = {}) {
  let nowMs = 1_000_000;
  const records = fakeOperationRecords(() => nowMs);
  const said: string[] = [];
  const isUp = new Set<string>();
  const looks = new Map<string, () => Promise<Look>>();
  const acts = new Map<string, Act>();
  const undos = new Map<string, () => Promise<void>>();
  const troubles: string[] = [];
  const ends: { outcome: string; ageMs: number }[] = [];

  const step = (name: string): Step<StepContext> => ({
    name,
    async look() {
      said.push(`look ${name}`);
      return await (looks.get(name)?.() ?? Promise.resolve(isUp.has(name) ? done : missing));
    },
    async act() {
      said.push(`act ${name}`);
      const act = acts.get(name);
      if (act !== undefined) return await act();
      isUp.add(name);
      return undefined;
    },
    async undo() {
      said.push(`undo ${name}`);
      await undos.get(name)?.();
      isUp.delete(name);
    },
  });
  const end =
    (state: 'succeeded' | 'failed' | 'cancelled') =>
    async ({ operation }: StepContext, { failure }: { failure?: Failure } = {}) => {
      records.end({ operationId: operation.id, fence: operation.fence }, state, failure?.code);
      said.push(failure === undefined ? state : `${state}: ${failure.message}`);
      return 'succeeded' as const;
    };
  const work: RunnableOperation<StepContext> = {
    definition: {
      kind: 'provision',
      version: 1,
      cancel: 'undoes',
      deadlineMs: 60_000,
      steps: [step('one'), step('two'), step('three')],
    },
    load: async (operation) => ({ operation }),
    takeOver: async ({ operation }) => void said.push(`take over ${operation.fence}`),
    succeed: end('succeeded'),
    fail: async (context, failed) => void (await end('failed')(context, failed)),
    cancel: async (context) => void (await end('cancelled')(context)),
    objectToCancel: async () => undefined,
  };
  const advanceOptions: AdvanceOptions = {
    records,
    holder: 'test',
    leaseMs: options.leaseMs ?? 30_000,
    budgetMs: options.budgetMs ?? 25_000,
    clock: () => nowMs,
    random: () => 0,
    pause: async (milliseconds) => void (nowMs += milliseconds),
    onEnd: ({ outcome, ageMs }) => ends.push({ outcome, ageMs }),
    onTrouble: ({ step: at, failure, next }) => troubles.push(`${at}: ${failure.code}: ${next}`),
  };
  const add = (given: Partial<Operation> = {}) => records.add(given).id;
  return {
    records,
    work,
    options: advanceOptions,
    said,
    isUp,
    looks,
    acts,
    undos,
    troubles,
    ends,
    add,
    /** What happened since the last call. */
    saidSince: () => said.splice(0),
    pass: (milliseconds: number) => {
      nowMs += milliseconds;
    },
    go: (operationId: string) => advance(work, operationId, advanceOptions),
  };
}

/** A look, an act or a load that throws. */
export const failing = (code: FailureCode) => async () => {
  throw new Failure(code, `It is ${code}.`);
};
