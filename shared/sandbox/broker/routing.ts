import type { Trigger } from '../manifests.ts';
import { type BrokerEvent, NotACloudEvent } from './event.ts';
import type { Manner } from './manners.ts';

/** One of a Trigger's `spec.filters`, without CESQL. Each dialect is exact about all its attributes. */
export type TriggerFilter = {
  exact?: Readonly<Record<string, string>>;
  prefix?: Readonly<Record<string, string>>;
  suffix?: Readonly<Record<string, string>>;
  all?: readonly TriggerFilter[];
  any?: readonly TriggerFilter[];
  not?: TriggerFilter;
};

/** A Trigger, also one as our own manifests may not be: with `spec.filters`, which one class of broker ignores. */
export type BrokerTrigger = Trigger & { filters?: readonly TriggerFilter[] };

/** Does the Trigger's filter let this event through? */
export function matches(manner: Manner, trigger: BrokerTrigger, event: BrokerEvent): boolean {
  if (manner.readsFilters && trigger.filters !== undefined && trigger.filters.length > 0) {
    return trigger.filters.every((filter) => passes(filter, event));
  }
  return Object.entries(trigger.filterAttributes).every(([name, value]) => {
    const found = attributeOf(event, name);
    return value === '' && manner.emptyFilterMatchesAny ? found !== undefined : found === value;
  });
}

function passes(filter: TriggerFilter, event: BrokerEvent): boolean {
  const { exact = {}, prefix = {}, suffix = {}, all = [], any, not } = filter;
  const everyOf = (wanted: Readonly<Record<string, string>>, holds: (found: string, value: string) => boolean) =>
    Object.entries(wanted).every(([name, value]) => holds(attributeOf(event, name) ?? '', value));
  return (
    everyOf(exact, (found, value) => found === value) &&
    everyOf(prefix, (found, value) => found.startsWith(value)) &&
    everyOf(suffix, (found, value) => found.endsWith(value)) &&
    all.every((one) => passes(one, event)) &&
    (any === undefined || any.some((one) => passes(one, event))) &&
    (not === undefined || !passes(not, event))
  );
}

function attributeOf(event: BrokerEvent, name: string): string | undefined {
  return name === 'datacontenttype' ? event.contentType : event.attributes[name];
}

const HOPS = 'knativebrokerttl';

/**
 * The event as the broker stores it.
 * @throws NotACloudEvent for a reply that has gone through this class of broker too often.
 */
export function arrived(manner: Manner, event: BrokerEvent, now: Date): BrokerEvent {
  const attributes = { ...event.attributes };
  if (manner.addsArrivalTime) attributes['knativearrivaltime'] = now.toISOString();
  if (manner.hopLimit !== undefined) {
    attributes[HOPS] ??= String(manner.hopLimit);
    if (!(Number(attributes[HOPS]) > 0)) throw new NotACloudEvent(`${HOPS} is used up: replies go round in a circle`);
  }
  return { ...event, attributes };
}

/** The event as a subscriber gets it; its dead letter keeps the count. */
export function forSubscriber(manner: Manner, event: BrokerEvent): BrokerEvent {
  if (manner.hopLimit === undefined) return event;
  const { [HOPS]: _hops, ...attributes } = event.attributes;
  return { ...event, attributes };
}

/** A reply as it goes back into the broker: one hop further than the event it answers. */
export function asReply(manner: Manner, reply: BrokerEvent, to: BrokerEvent): BrokerEvent {
  if (manner.hopLimit === undefined) return reply;
  const left = Number(to.attributes[HOPS] ?? manner.hopLimit) - 1;
  return { ...reply, attributes: { ...reply.attributes, [HOPS]: String(left) } };
}

export function parallelismOf(manner: Manner, trigger: Trigger, fallback: number): number {
  return manner.concurrency === 'unlimited' ? Number.POSITIVE_INFINITY : (trigger.parallelism ?? fallback);
}

/** A Trigger has two queues: its events and its dead letters. */
export type QueueKind = 'events' | 'dead-letters';

export function queueName(trigger: string, kind: QueueKind): string {
  return `${trigger}/${kind}`;
}
