import type { Dispatcher } from 'undici';
import type { Trigger } from '../manifests.ts';
import { writeDeadLetter } from './dead-letter-folder.ts';
import { deliver, type Outcome } from './deliver.ts';
import type { BrokerEvent } from './event.ts';
import type { Entry, Journal } from './journal.ts';
import type { Manner } from './manners.ts';
import { openQueue, type Queue } from './queue.ts';
import { asReply, forSubscriber, parallelismOf, type QueueKind, queueName } from './routing.ts';
import { type BrokerStats, countFor } from './stats.ts';

// RabbitMQ's dispatcher fetches this many events ahead, whatever its parallelism.
const PREFETCHED = 100;

export type DispatchOptions = {
  triggers: readonly Trigger[];
  manner: Manner;
  journal: Journal;
  stats: BrokerStats;
  httpDispatcher: Dispatcher;
  subscriberUrl: (serviceName: string) => string;
  deadLetterUrl: (serviceName: string) => string | undefined;
  deadLetterFolder: string;
  parallelism: number;
  /** Takes the event that a subscriber answered with. */
  onReply: (event: BrokerEvent) => Promise<void>;
  onChange: () => void;
  log: (message: string, facts: Record<string, unknown>) => void;
};

/** The outgoing half of the broker: one dispatcher per Trigger, each with its queue and its dead letter queue. */
export type Dispatch = {
  /** `onSettled` hears whether the event reached its subscriber or the dead letter sink. */
  send(entry: Entry, options?: { delayMs?: number; onSettled?: (isTaken: boolean) => void }): void;
  /** Forgets entries, in flight or not: nobody gets them any more. */
  abandon(entries: readonly Entry[]): void;
  size(): number;
  rollOut(): Promise<void>;
  stop(): Promise<void>;
};

type Context = DispatchOptions & {
  queues: Map<string, Queue>;
  listeners: Map<number, (isTaken: boolean) => void>;
};

export function openDispatch(options: DispatchOptions): Dispatch {
  const context: Context = { ...options, queues: new Map(), listeners: new Map() };
  for (const trigger of options.triggers) {
    for (const kind of ['events', 'dead-letters'] as const) openTriggerQueue(context, trigger, kind);
  }
  return {
    send(entry, { delayMs = 0, onSettled } = {}) {
      if (onSettled !== undefined) context.listeners.set(entry.number, onSettled);
      context.queues.get(entry.queue)?.push(entry, { delayMs });
    },
    abandon(entries) {
      for (const entry of entries) {
        context.queues.get(entry.queue)?.withdraw(entry);
        settle(context, entry, false);
      }
    },
    size: () => [...context.queues.values()].reduce((sum, queue) => sum + queue.size(), 0),
    async rollOut() {
      await Promise.all(options.triggers.map((trigger) => rollOutTrigger(context, trigger)));
    },
    async stop() {
      await Promise.all([...context.queues.values()].map((queue) => queue.stop()));
    },
  };
}

function openTriggerQueue(context: Context, trigger: Trigger, kind: QueueKind): void {
  const work = async (entry: Entry, signal: AbortSignal): Promise<void> => {
    try {
      await (kind === 'events' ? dispatchEvent : dispatchDeadLetter)(context, trigger, { entry, signal });
    } catch (error) {
      // the disk: the entry stays in the journal until the next start
      context.log('event could not be settled', { ...factsOf(trigger, entry), error: String(error) });
      context.listeners.get(entry.number)?.(false);
    }
  };
  const queue = openQueue(work, {
    parallelism: parallelismOf(context.manner, trigger, context.parallelism),
    keyOf: (entry) => (context.manner.ordersByPartitionKey ? entry.event.attributes['partitionkey'] : undefined),
    onChange: context.onChange,
  });
  context.queues.set(queueName(trigger.name, kind), queue);
}

type Held = { entry: Entry; signal: AbortSignal };

async function dispatchEvent(context: Context, trigger: Trigger, { entry, signal }: Held): Promise<void> {
  const outcome = await deliverTo(context, trigger, {
    entry: { ...entry, event: forSubscriber(context.manner, entry.event) },
    signal,
    url: () => context.subscriberUrl(trigger.subscriber),
    onRetry: () => countFor(context.stats, trigger.name, 'retried'),
  });
  if (outcome.kind === 'aborted') return;
  if (outcome.kind === 'dead-letter') return deadLetter(context, trigger, { entry, attributes: outcome.attributes });
  if (outcome.kind === 'lost') {
    countFor(context.stats, trigger.name, 'lost');
    const facts = { ...factsOf(trigger, entry), status: outcome.code };
    context.log(`event lost: ${trigger.subscriber} refused it, and this class of broker keeps no refused event`, facts);
  } else {
    countFor(context.stats, trigger.name, 'delivered');
    if (outcome.reply !== undefined) await context.onReply(asReply(context.manner, outcome.reply, entry.event));
  }
  settle(context, entry, true);
}

async function dispatchDeadLetter(context: Context, trigger: Trigger, { entry, signal }: Held): Promise<void> {
  const sink = trigger.delivery.deadLetterSink;
  const url = context.deadLetterUrl(sink);
  if (url === undefined) {
    const file = await writeDeadLetter(context.deadLetterFolder, trigger.name, entry.event);
    context.log(`dead letter kept as a file: no function is ${sink} yet`, { ...factsOf(trigger, entry), file });
    return settle(context, entry, true);
  }
  const outcome = await deliverTo(context, trigger, { entry, signal, url: () => url, onRetry: () => undefined });
  if (outcome.kind === 'aborted') return;
  if (outcome.kind !== 'delivered') {
    countFor(context.stats, trigger.name, 'lost');
    context.log(`dead letter lost: ${sink} did not take it, and no broker keeps it then`, factsOf(trigger, entry));
  }
  settle(context, entry, outcome.kind === 'delivered');
}

function deliverTo(
  context: Context,
  trigger: Trigger,
  { entry, signal, url, onRetry }: Held & { url: () => string; onRetry: () => void },
): Promise<Outcome> {
  const { manner, httpDispatcher } = context;
  return deliver(entry.event, { url, delivery: trigger.delivery, manner, httpDispatcher, signal, onRetry });
}

/** Moves an event to its Trigger's dead letter queue, in one write. */
async function deadLetter(
  context: Context,
  trigger: Trigger,
  { entry, attributes }: { entry: Entry; attributes: Record<string, string> },
): Promise<void> {
  const event = { ...entry.event, attributes: { ...entry.event.attributes, ...attributes } };
  const [letter] = await context.journal.put(event, [queueName(trigger.name, 'dead-letters')], {
    replaces: entry.number,
  });
  if (letter === undefined) return;
  countFor(context.stats, trigger.name, 'deadLettered');
  context.log('event dead-lettered', { ...factsOf(trigger, entry), ...attributes });
  const listener = context.listeners.get(entry.number);
  context.listeners.delete(entry.number);
  if (listener !== undefined) context.listeners.set(letter.number, listener);
  context.queues.get(letter.queue)?.push(letter);
}

function settle(context: Context, entry: Entry, isTaken: boolean): void {
  context.journal.remove(entry.number);
  context.listeners.get(entry.number)?.(isTaken);
  context.listeners.delete(entry.number);
}

async function rollOutTrigger(context: Context, trigger: Trigger): Promise<void> {
  const { manner, queues, stats } = context;
  const queue = queues.get(queueName(trigger.name, 'events'));
  if (queue === undefined) return;
  if (manner.rollout === 'keeps') {
    // a copy: the aborted delivery still holds the entry itself
    for (const entry of queue.take(Number.POSITIVE_INFINITY)) queue.push({ ...entry });
  } else if (manner.rollout === 'loses') {
    const letters = queues.get(queueName(trigger.name, 'dead-letters'));
    const lost = [queue, letters].flatMap((held) => held?.take(Number.POSITIVE_INFINITY) ?? []);
    countFor(stats, trigger.name, 'lost', lost.length);
    for (const entry of lost) settle(context, entry, false);
  } else {
    const attributes = { knativeerrordest: context.subscriberUrl(trigger.subscriber), knativeerrorcode: '-1' };
    await Promise.all(queue.take(PREFETCHED).map((entry) => deadLetter(context, trigger, { entry, attributes })));
  }
}

function factsOf(trigger: Trigger, entry: Entry): Record<string, unknown> {
  const { id, type } = entry.event.attributes;
  return { trigger: trigger.name, id, type };
}
