import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '#shared/domain/failure.ts';

/** Waits for work no longer than that. What comes of it later is nobody's. @throws Failure `timeout`. */
export async function within<T>(deadlineMs: number, work: () => Promise<T>, what: string): Promise<T> {
  const over = new AbortController();
  const late = delay(deadlineMs, undefined, { signal: over.signal }).then(() => {
    throw new Failure('timeout', `${what} was not read within ${deadlineMs} ms.`);
  });
  // ends the timer; its rejection is nobody's
  late.catch(() => undefined);
  try {
    const working = work();
    // when the deadline wins, its end comes to nobody
    working.catch(() => undefined);
    return await Promise.race([working, late]);
  } finally {
    over.abort();
  }
}
