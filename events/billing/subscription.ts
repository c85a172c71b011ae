import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { configurationEntries } from '#events/instance/configuration.ts';

const ends = v.strictObject({ at: fields.instant, by: v.picklist(['cancellation', 'expiry']) });

/** Of an event that says that a subscription ends. */
export function endsBy<const Way extends 'cancellation' | 'expiry'>(way: Way) {
  return v.strictObject({ at: fields.instant, by: v.literal(way) });
}

/**
 * The whole state of a subscription as of `sequence`. Every event of it tells all: one that comes late or never leaves
 * no gap, since the newest says what is.
 */
export const subscriptionEntries = {
  subscription: fields.billingId,
  customer: fields.customerId,
  /** Grows with every change of the subscription, in the order of the source that says so. */
  sequence: fields.count,
  plan: fields.slug,
  phase: v.picklist(['trial', 'evergreen']),
  /** False from the first due invoice to its payment, and for a subscription for which nothing was paid yet. */
  paid: v.boolean(),
  /** Since when its oldest open invoice is past due; null when none is. */
  overduesince: v.nullable(fields.instant),
  /** When it ends, which may be to come; null when no end is known. */
  ends: v.nullable(ends),
  /** The billing service holds it: its instance is suspended until an event says otherwise. Absent: it does not. */
  paused: v.optional(v.boolean()),
  /** The instance it pays for, where there is one already. One for life. */
  instance: v.optional(fields.instanceId),
  /** The instance to be made for it. May come with a later event than the first. */
  configuration: v.optional(v.strictObject(configurationEntries)),
};

const schema = v.strictObject(subscriptionEntries);
export type SubscriptionData = v.InferOutput<typeof schema>;

/** A paid subscription. */
export const exampleSubscription = {
  subscription: 's-5521',
  customer: 'c-1042',
  sequence: 7,
  plan: 'small',
  phase: 'evergreen',
  paid: true,
  overduesince: null,
  ends: null,
} as const satisfies SubscriptionData;
