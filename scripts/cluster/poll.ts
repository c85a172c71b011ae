import { setTimeout as pause } from 'node:timers/promises';
import { oneLine } from '#shared/domain/one-line.ts';

/** Everything of a node is ready within seconds on an idle machine. */
const defaultLimitMs = 120_000;

/** How a server looks that is not there yet, or has just died. */
const absence = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** Asks until it is so. That nobody listens yet, or no more, is no error. @throws Error that names `what` when the time is over. */
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
      if (absence.includes(error.code ?? '')) return false;
      throw error;
    });
    if (done) return;
    if (Date.now() > deadline) throw new Error(`gave up after ${limitMs / 1000} s: ${what}`);
    await pause(100);
  }
}

/** What was seen: undefined when it is as it should be, else what is still missing, in words. */
export type Look = () => Promise<string | undefined>;

/**
 * Looks until nothing is missing, and says every `sayMs` what is. A look that fails is said, too, and repeated.
 * @throws Error with what was seen last when the time is over, and at once when `signal` aborts.
 */
export async function waitFor(
  what: string,
  look: Look,
  options: { limitMs: number; say(line: string): void; signal: AbortSignal; sayMs?: number; pauseMs?: number },
): Promise<void> {
  const { limitMs, say, signal, sayMs = 15_000, pauseMs = 500 } = options;
  const started = Date.now();
  let saidAt = started;
  for (;;) {
    signal.throwIfAborted();
    const missing = await look().catch((error: Error) => oneLine(error.message, 600));
    if (missing === undefined) return;
    signal.throwIfAborted();
    const now = Date.now();
    if (now - started > limitMs) throw new Error(`gave up after ${limitMs / 1000} s: ${what}: ${missing}`);
    if (now - saidAt >= sayMs) {
      saidAt = now;
      say(`waiting for ${what} for ${Math.round((now - started) / 1000)} s: ${missing}`);
    }
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
