import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import type { Trigger } from '../manifests.ts';
import { type Dispatch, openDispatch } from './dispatch.ts';
import type { BrokerEvent } from './event.ts';
import { copiesUnder, type Faults } from './faults.ts';
import { listenForEvents, portOf } from './ingress.ts';
import { type Entry, memoryJournal, openJournal } from './journal.ts';
import { type MannerName, manners } from './manners.ts';
import { arrived, matches, queueName } from './routing.ts';
import { type BrokerStats, countFor, emptyStats } from './stats.ts';

const BROKER_NAMESPACE = 'odoo-fleet';
const BROKER_NAME = 'fleet';

export type BrokerOptions = {
  /** Holds the journal and the dead letters that no function takes. Made when missing; one broker at a time. */
  folder: string;
  /** A free one unless stated. */
  port?: number;
  triggers: readonly Trigger[];
  /** Where a Knative Service answers; asked before every delivery. */
  subscriberUrl: (serviceName: string) => string;
  /** Where a dead letter sink answers. undefined: it has no function, and each dead letter becomes a file in the folder. */
  deadLetterUrl?: (serviceName: string) => string | undefined;
  /** `rabbitmq` unless stated. */
  manners?: MannerName;
  /** Answers the publisher at once where the class does not: annotation messaging.knative.dev/async-handler. */
  isAsynchronous?: boolean;
  /** Deliveries at a time for Triggers whose manifest does not say; 4 unless stated. */
  parallelism?: number;
  faults?: Faults;
  log?: (message: string, facts: Record<string, unknown>) => void;
};

export type Broker = {
  /** Where publishers POST. */
  url: string;
  /** A copy of the counts since the start. */
  stats(): BrokerStats;
  /** Resolves when nothing is being accepted, queued, retried or dead-lettered. */
  idle(): Promise<void>;
  /** For events accepted from now on; undefined ends them. */
  setFaults(faults: Faults | undefined): void;
  /** Replaces the dispatchers, as an update of the broker or a drained node does: see `rollout` in the manners. */
  rollOut(): Promise<void>;
  /** Aborts what is in flight. What was accepted and not delivered waits in the folder, if the class is durable. */
  stop(): Promise<void>;
};

/** Starts a broker on 127.0.0.1 that treats events as the Knative broker class named by `manners` does. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const manner = manners[options.manners ?? 'rabbitmq'];
  for (const { name, broker } of options.triggers) {
    if (broker !== BROKER_NAME) throw new Error(`Trigger ${name} is for broker ${broker}; this one is ${BROKER_NAME}`);
  }
  const log = options.log ?? ((): void => undefined);
  await mkdir(options.folder, { recursive: true });
  const journal = manner.isDurable ? await openJournal(options.folder) : memoryJournal();
  const httpDispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const stats = emptyStats(options.triggers.map(({ name }) => name));
  const idleness = watchIdleness(() => dispatch.size() === 0);
  const copies = openCopies(options.faults);

  const dispatch = openDispatch({
    triggers: options.triggers,
    manner,
    journal,
    stats,
    httpDispatcher,
    subscriberUrl: options.subscriberUrl,
    deadLetterUrl: options.deadLetterUrl ?? ((): undefined => undefined),
    deadLetterFolder: join(options.folder, 'dead-letters'),
    parallelism: options.parallelism ?? 4,
    onReply: (event) => accept(event),
    onChange: idleness.check,
    log,
  });

  async function accept(event: BrokerEvent, publisherGone?: AbortSignal): Promise<void> {
    const planned = options.triggers
      .filter((trigger) => matches(manner, trigger, event))
      .flatMap(({ name }) => {
        const delays = copies.plan(event, name);
        countFor(stats, name, 'accepted');
        if (delays.length === 0) countFor(stats, name, 'dropped');
        countFor(stats, name, 'duplicated', Math.max(0, delays.length - 1));
        return delays.map((delayMs) => ({ queue: queueName(name, 'events'), delayMs }));
      });
    const queues = planned.map(({ queue }) => queue);
    // an event that no Trigger wants is accepted and gone, as with Knative
    const entries = queues.length === 0 ? [] : await journal.put(arrived(manner, event, new Date()), queues);
    stats.accepted += 1;
    const isWaitedFor = manner.answersWhen === 'delivered' && options.isAsynchronous !== true;
    const taken = entries.map((entry, index) => {
      const result = Promise.withResolvers<boolean>();
      dispatch.send(entry, { delayMs: planned[index]?.delayMs ?? 0, onSettled: result.resolve });
      return result.promise;
    });
    if (isWaitedFor) await allTaken(dispatch, entries, { taken, publisherGone });
  }

  const server = await listenForEvents((event, gone) => idleness.during(accept(event, gone)), {
    path: `/${BROKER_NAMESPACE}/${BROKER_NAME}`,
    port: options.port ?? 0,
    onRefused: (reason) => {
      stats.refused += 1;
      log('request refused', { reason });
    },
    onError: (error) => log('event not accepted', { error: String(error) }),
  });
  const known = new Set(options.triggers.map(({ name }) => queueName(name, 'events')));
  for (const entry of journal.pending) resume(entry);

  function resume(entry: Entry): void {
    if (known.has(entry.queue.replace(/dead-letters$/, 'events'))) return dispatch.send(entry);
    // Knative deletes a Trigger's queue with the Trigger
    log('event of a Trigger that is gone: removed', { queue: entry.queue, id: entry.event.attributes['id'] });
    journal.remove(entry.number);
  }

  return {
    url: `http://127.0.0.1:${portOf(server)}/${BROKER_NAMESPACE}/${BROKER_NAME}`,
    stats: () => structuredClone(stats),
    idle: idleness.wait,
    setFaults: copies.setFaults,
    rollOut: () => idleness.during(dispatch.rollOut()),
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      await dispatch.stop();
      server.closeAllConnections();
      await closed;
      await journal.close();
      await httpDispatcher.destroy();
    },
  };
}

/** For the synchronous class: @throws Error when a subscriber and its dead letter sink both failed. */
async function allTaken(
  dispatch: Dispatch,
  entries: readonly Entry[],
  { taken, publisherGone }: { taken: Promise<boolean>[]; publisherGone: AbortSignal | undefined },
): Promise<void> {
  // a publisher that gives up cuts the retries short, and nothing reaches the dead letter sink
  const abandon = (): void => dispatch.abandon(entries);
  if (publisherGone?.aborted) abandon();
  publisherGone?.addEventListener('abort', abandon, { once: true });
  const results = await Promise.all(taken);
  if (results.includes(false)) throw new Error('a subscriber failed and its dead letter sink did not take the event');
}

type Copies = { plan(event: BrokerEvent, trigger: string): number[]; setFaults(faults: Faults | undefined): void };

/** The delays of the copies to deliver. Remembers how often each event was sent, so that sending again is a new draw. */
function openCopies(initial: Faults | undefined): Copies {
  const sendings = new Map<string, number>();
  let faults = initial;
  return {
    plan(event, trigger) {
      if (faults === undefined) return [0];
      const { id = '', source = '', type = '' } = event.attributes;
      const key = `${trigger} ${source} ${id}`;
      const sending = sendings.get(key) ?? 0;
      sendings.set(key, sending + 1);
      return copiesUnder(faults, { id, source, type }, { trigger, sending });
    },
    setFaults(next) {
      faults = next;
      sendings.clear();
    },
  };
}

type Idleness = { check(): void; during<T>(work: Promise<T>): Promise<T>; wait(): Promise<void> };

function watchIdleness(isEmpty: () => boolean): Idleness {
  let busy = 0;
  let waiters: (() => void)[] = [];
  const isIdle = (): boolean => busy === 0 && isEmpty();
  function check(): void {
    if (!isIdle()) return;
    const ready = waiters;
    waiters = [];
    for (const resolve of ready) resolve();
  }
  return {
    check,
    async during(work) {
      busy += 1;
      try {
        return await work;
      } finally {
        busy -= 1;
        check();
      }
    },
    wait: () => (isIdle() ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
  };
}
