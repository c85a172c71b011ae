import { Failure } from '../failure.ts';
import type { Operation, OperationKind } from './operation.ts';

/**
 * What a step found in the world.
 * `done`: the effect is there and ours. `missing`: act. `waiting`: begun, somebody else must finish it;
 * `checkAfterMs` is how long to wait for an event before looking again without one.
 */
export type Look = { found: 'done' } | { found: 'missing' } | { found: 'waiting'; for: string; checkAfterMs: number };

export const done: Look = { found: 'done' };
export const missing: Look = { found: 'missing' };
export function waiting(what: string, options: { checkAfterMs: number }): Look {
  return { found: 'waiting', for: what, checkAfterMs: options.checkAfterMs };
}

/**
 * One repeatable piece of an operation.
 *
 * `look` changes nothing and says whether the effect is there *and ours*. `act` brings it about; it may be killed at
 * any instruction and run again, by another process, after another `look`. It returns what it left behind
 * (`done` when nothing is returned). One call of either ends within 20 s, or the work belongs into a Job.
 * `undo` takes away what this very operation made and nobody used; it is repeatable too.
 */
export type Step<Context> = {
  name: string;
  /**
   * False for a step that never talks to the Odoo PostgreSQL server: its fence is not raised before it, so that a
   * suspension takes the pods down while that server is away.
   */
  touchesServer?: false;
  look(context: Context): Promise<Look>;
  act(context: Context): Promise<Look | undefined>;
  undo?(context: Context): Promise<void>;
};

/** What every step is given besides its own data. */
export type StepContext = {
  readonly operation: Operation;
};

/** A fixed, ordered list of steps. Change the order or a step's meaning: raise `version`. */
export type OperationDefinition<Context extends StepContext> = {
  kind: OperationKind;
  version: number;
  /** From its first turn to the last step; after it the operation fails with `deadline-exceeded`. */
  deadlineMs: number;
  /**
   * What a person's `cancel` does. `undoes`: takes away what the operation made. `refused`: nothing; the way back is
   * another operation, such as a start after a stop.
   */
  cancel: 'undoes' | 'refused';
  /** What operations are begun with. */
  steps: readonly Step<Context>[];
  /**
   * Lists of other versions that unfinished operations may have been begun with: by the release before, or, after a
   * rollback, by the next one. An operation is carried on by its own list.
   */
  others?: readonly { version: number; steps: readonly Step<Context>[] }[];
};

/** The versions whose operations can be carried on. */
export function knownVersions(definition: {
  version: number;
  others?: readonly { version: number }[];
}): readonly number[] {
  return [definition.version, ...(definition.others ?? []).map(({ version }) => version)];
}

/** The steps of a version. @throws Failure `internal` for one that is not known. */
export function stepsOf<Context extends StepContext>(
  { kind, version, steps, others = [] }: OperationDefinition<Context>,
  wanted: number,
): readonly Step<Context>[] {
  const found = [{ version, steps }, ...others].find((one) => one.version === wanted);
  if (found === undefined) throw new Failure('internal', `${kind} has no version ${wanted}.`);
  return found.steps;
}
