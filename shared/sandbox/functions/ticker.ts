import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';

export type TickerOptions = {
  everyMs: number;
  /** Where the ticks go: a function's own URL, so that they do not depend on the broker. */
  target: string;
  /** The events' `source`. */
  source: string;
  /** At most this long after the full period; 500 ms unless stated, as Knative's PingSource. */
  jitterMs?: number;
  log?: (message: string, facts: Record<string, unknown>) => void;
};

export type Ticker = {
  /** No tick is sent any more; those in flight are given up. */
  stop(): Promise<void>;
};

const TRIES = 5;
const FIRST_WAIT_MS = 50;
// longer than the time a function may take
const TIMEOUT_MS = 130_000;

/**
 * Sends a `dev.knative.sources.ping` event at every full period of the clock, as a PingSource does: a random id per tick,
 * five tries, missed ticks are not caught up, and a slow answer does not hold back the next tick.
 */
export function startTicker(options: TickerOptions): Ticker {
  const stopping = new AbortController();
  const inFlight = new Set<Promise<void>>();
  let timer: NodeJS.Timeout;
  const periodAfter = (ms: number) => ms - (ms % options.everyMs) + options.everyMs;
  let dueMs = periodAfter(Date.now());

  function schedule(): void {
    timer = setTimeout(() => {
      // a timer may fire a moment before the clock is there: the same period must not come twice
      dueMs = Math.max(dueMs + options.everyMs, periodAfter(Date.now()));
      schedule();
      const sent = sendTick(options, stopping.signal).finally(() => inFlight.delete(sent));
      inFlight.add(sent);
    }, dueMs - Date.now());
  }

  schedule();
  return {
    async stop() {
      clearTimeout(timer);
      stopping.abort();
      await Promise.all(inFlight);
    },
  };
}

async function sendTick(options: TickerOptions, signal: AbortSignal): Promise<void> {
  const id = randomUUID();
  let reason = '';
  try {
    await sleep(Math.random() * (options.jitterMs ?? 500), undefined, { signal });
    const time = new Date().toISOString();
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (attempt > 0) await sleep(FIRST_WAIT_MS * 2 ** (attempt - 1), undefined, { signal });
      const status = await post(options, { id, time, signal });
      if (typeof status === 'number' && status < 300) return;
      reason = String(status);
    }
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  options.log?.('tick lost: its function did not take it; the next tick does its work', {
    source: options.source,
    reason,
  });
}

async function post(
  { target, source }: TickerOptions,
  { id, time, signal }: { id: string; time: string; signal: AbortSignal },
): Promise<number | string> {
  try {
    const { statusCode, body } = await request(target, {
      method: 'POST',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': id,
        'ce-source': source,
        'ce-type': 'dev.knative.sources.ping',
        'ce-time': time,
        'content-type': 'application/json',
      },
      body: '{}',
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal,
    });
    await body.dump();
    return statusCode;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
