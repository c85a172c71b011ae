import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import { rawEvent } from '#shared/testing/fleet.ts';
import type { StormEvent } from './plan.ts';

export type Publisher = {
  /** Sends each event when its time has come; resolves when each was sent once, answered or not. */
  sendInTime(events: readonly StormEvent[]): Promise<void>;
  /** Resolves when every event has its row, or `timeoutMs` have passed: what is missing then. */
  untilTaken(timeoutMs: number): Promise<readonly string[]>;
  counted(): { sent: number; resent: number; notTaken: number };
  stop(): Promise<void>;
};

/** An event that has no row by then is sent again: it was lost, or waits behind others. Each time the wait is twice as long. */
const resendAfterMs = 4_000;
const longestWaitMs = 32_000;
const lookEveryMs = 1_000;
const answerWithinMs = 30_000;
const senders = 8;

type Waiting = { event: StormEvent; lookAtMs: number; waitMs: number };

/**
 * A publisher who needs certainty: he sends each event, under one id, until he sees that it has a row. The broker's 202 is not
 * enough for him; that it refuses, or hangs, is no reason to stop.
 */
export function openPublisher({ broker, records }: Pick<Fleet, 'broker' | 'records'>): Publisher {
  const dispatcher = new Agent({ connections: senders });
  const waiting = new Map<string, Waiting>();
  const queue: StormEvent[] = [];
  const counts = { sent: 0, resent: 0, notTaken: 0 };
  const neverSent = new Set<string>();
  const stopping = new AbortController();

  async function sendQueued(): Promise<void> {
    while (!stopping.signal.aborted) {
      const event = queue.shift();
      if (event === undefined) {
        await delay(20);
        continue;
      }
      await post(event);
      neverSent.delete(event.id);
      const { waitMs = resendAfterMs / 2 } = waiting.get(event.id) ?? {};
      const nextMs = Math.min(waitMs * 2, longestWaitMs);
      waiting.set(event.id, { event, lookAtMs: Date.now() + nextMs, waitMs: nextMs });
    }
  }

  async function post(event: StormEvent): Promise<void> {
    const { headers, body } = rawEvent(event);
    const subject = { 'ce-partitionkey': event.instance };
    try {
      const answer = await request(broker.url, {
        method: 'POST',
        headers: { ...headers, ...subject },
        body,
        dispatcher,
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(answerWithinMs)]),
      });
      await answer.body.dump();
      if (answer.statusCode !== 202) counts.notTaken += 1;
    } catch {
      // sent again like one that was lost
      counts.notTaken += 1;
    }
  }

  async function look(): Promise<void> {
    const late = [...waiting.values()].filter(({ lookAtMs }) => lookAtMs < Date.now());
    if (late.length === 0) return;
    const { rows } = await records.query<{ id: string }>('select id from inbox where id = any($1)', [
      late.map(({ event }) => event.id),
    ]);
    for (const { id } of rows) waiting.delete(id);
    for (const { event } of late) {
      const one = waiting.get(event.id);
      if (one === undefined) continue;
      counts.resent += 1;
      // not again before it was sent
      one.lookAtMs = Number.POSITIVE_INFINITY;
      queue.push(event);
    }
  }

  const sending = Array.from({ length: senders }, sendQueued);
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      // the records may be away: asked again
      await look().catch(() => undefined);
      await delay(lookEveryMs);
    }
  })();

  return {
    async sendInTime(events) {
      const startedAtMs = Date.now();
      for (const event of events) {
        const waitMs = startedAtMs + event.atMs - Date.now();
        if (waitMs > 0) await delay(waitMs);
        counts.sent += 1;
        waiting.set(event.id, { event, lookAtMs: Number.POSITIVE_INFINITY, waitMs: resendAfterMs / 2 });
        neverSent.add(event.id);
        queue.push(event);
      }
      while (neverSent.size > 0) await delay(20);
    },
    async untilTaken(timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      while (waiting.size > 0 && Date.now() < deadline) await delay(200);
      return [...waiting.keys()];
    },
    counted: () => ({ ...counts }),
    async stop() {
      stopping.abort();
      await looking;
      await Promise.all(sending);
      await dispatcher.destroy();
    },
  };
}
