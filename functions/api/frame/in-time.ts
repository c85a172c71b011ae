import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Route } from '../route.ts';

const defaultDeadlineMs = 10_000;

/** What is to be done in time: aborted when it is late, or nobody waits for it any more. */
export type Timed = {
  signal: AbortSignal;
  /** From here on something may be changed. */
  begin(): void;
};

/** Nobody waits for the answer any more, and nothing was begun. */
export type Gone = 'gone';

/**
 * A stream may go on; what comes before its first piece may not take longer than any other answer. Whoever leaves before
 * something is begun is `gone`. @throws Failure.
 */
export async function inTime<Result>(
  { method, deadlineMs: limit = defaultDeadlineMs }: Route,
  gone: AbortSignal,
  act: (timed: Timed) => Promise<Result>,
): Promise<Result | Gone> {
  const over = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  let isBegun = false;
  let left: Failure | undefined;
  const timer = setTimeout(() => {
    over.abort();
    // what changes something goes on, and may yet be committed
    const code = method === 'GET' || !isBegun ? 'timeout' : 'outcome-unknown';
    reject(new Failure(code, `It took longer than ${limit} ms.`));
  }, limit);
  if (gone.aborted) over.abort();
  gone.addEventListener('abort', () => over.abort(), { once: true });
  const begin = () => {
    if (gone.aborted) left = new Failure('cancelled', 'Whoever asked has left.');
    if (left !== undefined) throw left;
    if (over.signal.aborted) throw new Failure('timeout', 'Nobody waits for it any more.');
    isBegun = true;
  };
  const work = act({ signal: over.signal, begin });
  // after the deadline nobody waits for it
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } catch (caught) {
    if (caught === left) return 'gone';
    throw asFailure(caught);
  } finally {
    clearTimeout(timer);
  }
}
