import type { DeadEventClass } from '#shared/adapters/postgres/dead-events.ts';

// Knative's brokers retry these among the 4xx answers (kncloudevents.SelectiveRetry); 409 is "processing in progress",
// 404 is what a route answers while its function is being rolled out.
const retriedStatuses = new Set([404, 408, 409, 425, 429]);

/**
 * May an event that could not be delivered succeed later?
 *
 * No answer at all (−1, or a destination without a code), an answer that none of our functions gives (3xx), a failure of
 * the server or one of the statuses that mean "later": transient. Any other 4xx is about the event: permanent. When the
 * broker says neither where nor why: unknown.
 */
export function classify({ origin, errorCode }: { origin: string | null; errorCode: number | null }): DeadEventClass {
  if (errorCode === null) return origin === null ? 'unknown' : 'transient';
  if (errorCode === -1 || retriedStatuses.has(errorCode)) return 'transient';
  if (errorCode >= 400 && errorCode < 500) return 'permanent';
  if ((errorCode >= 300 && errorCode < 400) || (errorCode >= 500 && errorCode < 600)) return 'transient';
  return 'unknown';
}
