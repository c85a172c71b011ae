import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { resourceAdd } from '#events/knative/resource-add.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { resourceUpdate } from '#events/knative/resource-update.ts';
import { observer } from '#functions/observe/handler.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import type { HostRequest } from '#shared/runtime/http-function.ts';
import { openLog } from '#shared/runtime/log.ts';
import { makeMetrics } from '#shared/runtime/metrics.ts';
import { type ClusterRequest, requestOf } from './message.ts';
import { idOf, instances } from './world.ts';

export const inFlight = 100;

/** Answers a request with the outcome; throws when that is no success. */
export type Send = (request: ClusterRequest) => Promise<string>;

/** The function `observe` as it runs, without the HTTP server around it. */
export function openObserve(database: Database, flush: () => Promise<void> = async () => undefined): Send {
  const handler = eventFunction({
    name: 'observe',
    definitions: [resourceAdd, resourceUpdate, resourceDelete],
    log: openLog({ name: 'bench', level: 'error' }),
    metrics: makeMetrics({ functionName: 'observe' }),
    authorise: async () => ({ customerId: null }),
    handle: observer({ database, eventSource: 'urn:odoo-fleet', flush }),
    storeDead: (event) => Promise.reject(new Error(`the bench sent a bad event: ${event.reason}`)),
  });
  return async ({ headers, body }) => {
    let answered = { status: 0, outcome: '' };
    const response = {
      writeHead: (status: number, given: Record<string, string>) => {
        answered = { status, outcome: given['x-outcome'] ?? '' };
      },
      end: () => undefined,
    };
    const request = { method: 'POST', url: '/', headers, rawHeaders: [], rawBody: body };
    await handler(request as unknown as HostRequest, response as unknown as ServerResponse);
    if (answered.status !== 204) throw new Error(`an event was answered ${answered.status} ${answered.outcome}`);
    return answered.outcome;
  };
}

export type Driven = { perSecond: number; latenciesMs: number[]; outcomes: Record<string, number> };

/** A pass is one event of every instance: what its Deployment says, and how long is waited before it. */
const passes = [
  { isAvailable: true, afterMs: 0 },
  { isAvailable: false, afterMs: 0 },
  // bad news is believed when it has stood for two seconds
  { isAvailable: false, afterMs: 2_100 },
] as const;
/** Every so many events is delivered twice at once. */
export const twiceEvery = 50;

/**
 * One cycle of every instance through error, running, noted bad news and error: all passes, with the pauses between
 * them left out of the time. A hundred senders, each sends the next event when its last one was answered.
 */
export async function driveCycle(send: Send): Promise<Driven> {
  const driven: Driven = { perSecond: 0, latenciesMs: [], outcomes: {} };
  let spentMs = 0;
  for (const { isAvailable, afterMs } of passes) {
    await delay(afterMs);
    const requests = Array.from({ length: instances }, (_, number) => requestOf(idOf(number), isAvailable));
    const doubled = requests.flatMap((request, index) => (index % twiceEvery === 0 ? [request, request] : [request]));
    const startedMs = performance.now();
    await sendAll(send, doubled, driven);
    spentMs += performance.now() - startedMs;
  }
  driven.perSecond = (driven.latenciesMs.length / spentMs) * 1_000;
  return driven;
}

/** A part of the first pass: for what is too slow for whole cycles. */
export async function driveSome(send: Send, events: number): Promise<Driven> {
  const driven: Driven = { perSecond: 0, latenciesMs: [], outcomes: {} };
  const requests = Array.from({ length: events }, (_, number) => requestOf(idOf(number % instances), number % 2 === 0));
  const startedMs = performance.now();
  await sendAll(send, requests, driven);
  driven.perSecond = (events / (performance.now() - startedMs)) * 1_000;
  return driven;
}

async function sendAll(send: Send, requests: readonly ClusterRequest[], driven: Driven): Promise<void> {
  const waiting = requests.values();
  const work = async () => {
    // one iterator for all: each takes the next request
    for (const request of waiting) {
      const sentMs = performance.now();
      const outcome = await send(request);
      driven.latenciesMs.push(performance.now() - sentMs);
      driven.outcomes[outcome] = (driven.outcomes[outcome] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}
