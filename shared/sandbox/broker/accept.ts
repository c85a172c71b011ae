import type { Dispatch } from './dispatch.ts';
import type { BrokerEvent } from './event.ts';
import type { Copies } from './faults.ts';
import type { Entry, Journal } from './journal.ts';
import type { Manner } from './manners.ts';
import { arrived, type BrokerTrigger, matches, queueName } from './routing.ts';
import { type BrokerStats, countFor } from './stats.ts';

export type AcceptContext = {
  triggers: readonly BrokerTrigger[];
  manner: Manner;
  isAsynchronous: boolean;
  journal: Journal;
  dispatch: Dispatch;
  copies: Copies;
  stats: BrokerStats;
};

/**
 * Takes one event in: finds its Triggers, stores it and hands it on. Resolves when the publisher may be told 202.
 * @throws Error when it could not be stored, or, in a class that answers late, when nobody took it.
 */
export async function acceptEvent(
  context: AcceptContext,
  event: BrokerEvent,
  options: { publisherGone?: AbortSignal } = {},
): Promise<void> {
  const { dispatch, journal, manner, stats } = context;
  const stored = arrived(manner, event, new Date());
  const planned = context.triggers
    .filter((trigger) => matches(manner, trigger, event))
    .flatMap(({ name }) => planFor(context, event, name));
  const queues = planned.map(({ queue }) => queue);
  // an event that no Trigger wants is accepted and gone, as with Knative
  const entries = queues.length === 0 ? [] : await journal.put(stored, queues);
  stats.accepted += 1;
  const taken = entries.map((entry, index) => {
    const result = Promise.withResolvers<boolean>();
    dispatch.send(entry, { delayMs: planned[index]?.delayMs ?? 0, onSettled: result.resolve });
    return result.promise;
  });
  if (manner.answersWhen === 'stored' || context.isAsynchronous) return;
  await allTaken(dispatch, entries, { taken, publisherGone: options.publisherGone });
}

function planFor(context: AcceptContext, event: BrokerEvent, trigger: string): { queue: string; delayMs: number }[] {
  const { copies, stats } = context;
  const delays = copies.plan(event, trigger);
  countFor(stats, trigger, 'accepted');
  if (delays.length === 0) countFor(stats, trigger, 'dropped');
  countFor(stats, trigger, 'duplicated', Math.max(0, delays.length - 1));
  return delays.map((delayMs) => ({ queue: queueName(trigger, 'events'), delayMs }));
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
