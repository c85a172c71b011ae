import { setTimeout as pause } from 'node:timers/promises';

/** Everything of a node is ready within seconds on an idle machine. */
const defaultLimitMs = 120_000;

/** Asks until it is so. That nobody listens yet is no error. @throws Error that names `what` when the time is over. */
export async function poll(
  what: string,
  isDone: () => Promise<boolean>,
  options: { limitMs?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const { limitMs = defaultLimitMs, signal } = options;
  const deadline = Date.now() + limitMs;
  for (;;) {
    signal?.throwIfAborted();
    const done = await isDone().catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') return false;
      throw error;
    });
    if (done) return;
    if (Date.now() > deadline) throw new Error(`gave up after ${limitMs / 1000} s: ${what}`);
    await pause(100);
  }
}
