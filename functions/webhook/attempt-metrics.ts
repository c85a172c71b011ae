import { Histogram, type Registry } from 'prom-client';
import type { Delivering } from '#shared/runtime/webhook/deliver.ts';

// Seconds. A receiver has ten.
const buckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts the tries of this process to tell customers' endpoints, by what came of them. No label says whose they are. */
export function makeAttemptMetrics(registry: Registry): NonNullable<Delivering['onAttempt']> {
  const duration = new Histogram({
    name: 'fleet_webhook_attempt_duration_seconds',
    help: "Time of a try to tell a customer's endpoint: taken, again (it failed and is tried again), given-up, or gone (410).",
    labelNames: ['outcome'],
    buckets,
    registers: [registry],
  });
  return ({ outcome, seconds }) => duration.observe({ outcome }, seconds);
}
