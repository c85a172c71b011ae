import type { Trigger } from '../manifests.ts';
import type { BrokerEvent } from './event.ts';
import type { Manner } from './manners.ts';

/** Does the Trigger's filter let this event through? Exact matches, all of them. */
export function matches(manner: Manner, trigger: Trigger, event: BrokerEvent): boolean {
  return Object.entries(trigger.filterAttributes).every(([name, value]) => {
    const found = name === 'datacontenttype' ? event.contentType : event.attributes[name];
    return value === '' && manner.emptyFilterMatchesAny ? found !== undefined : found === value;
  });
}

/** The event as the broker stores it. */
export function arrived(manner: Manner, event: BrokerEvent, now: Date): BrokerEvent {
  if (!manner.addsArrivalTime) return event;
  return { ...event, attributes: { ...event.attributes, knativearrivaltime: now.toISOString() } };
}

export function parallelismOf(manner: Manner, trigger: Trigger, fallback: number): number {
  return manner.concurrency === 'unlimited' ? Number.POSITIVE_INFINITY : (trigger.parallelism ?? fallback);
}

/** A Trigger has two queues: its events and its dead letters. */
export type QueueKind = 'events' | 'dead-letters';

export function queueName(trigger: string, kind: QueueKind): string {
  return `${trigger}/${kind}`;
}
