import { asFailure, type Failure, failureCodes, mayRetry } from '../failure.ts';
import type { Look } from './step.ts';

/** What a step came to: what it left, or what it threw. */
export type StepResult = { look: Look } | { thrown: unknown };

/** What the runner does next with an operation. */
export type Decision =
  | { next: 'step' }
  | { next: 'act' }
  | { next: 'wait'; for: string; checkAfterMs: number }
  | { next: 'try-again'; failure: Failure; afterMs: number }
  | { next: 'fail'; failure: Failure }
  | { next: 'stand-back' };

/**
 * Tries of one step before its operation fails. With the waits below they span 4 to 5 minutes: longer than a restart
 * of a database server, shorter than a person's patience.
 */
export const maximumAttempts = 12;

/** Tries after a failure that nobody has mapped: most are bugs, which no wait mends; some are a library's bad moment. */
export const maximumUnexplainedAttempts = 4;

/** Waits between tries: 0.5 s doubling to 60 s, with a fifth of jitter taken off by `random` (0 to 1). */
export function retryDelayMs(attempt: number, random: number): number {
  const full = Math.min(500 * 2 ** (attempt - 1), 60_000);
  return Math.round(full * (1 - 0.2 * random));
}

/**
 * Decides what follows from a step's result. Pure: time and randomness are arguments.
 * `mayAct` is true after a look, false after an act: an act that leaves `missing` behind is tried again later.
 */
export function decide(result: StepResult, situation: { attempt: number; mayAct: boolean; random: number }): Decision {
  if ('look' in result) {
    if (result.look.found === 'done') return { next: 'step' };
    if (result.look.found === 'waiting') {
      return { next: 'wait', for: result.look.for, checkAfterMs: result.look.checkAfterMs };
    }
    if (situation.mayAct) return { next: 'act' };
    return decide({ thrown: new Error('the step acted and its effect is still missing') }, situation);
  }
  const failure = asFailure(result.thrown);
  if (failureCodes[failure.code] === 'fenced') return { next: 'stand-back' };
  if (mayRetry(failure) && situation.attempt < attemptsFor(failure)) {
    return { next: 'try-again', failure, afterMs: retryDelayMs(situation.attempt, situation.random) };
  }
  return { next: 'fail', failure };
}

function attemptsFor(failure: Failure): number {
  // Room on a server comes when an operator makes it: only the deadline ends the wait.
  if (failure.code === 'no-capacity') return Number.POSITIVE_INFINITY;
  return failure.code === 'internal' ? maximumUnexplainedAttempts : maximumAttempts;
}
