import type { AcceptContext } from './accept.ts';
import { queueName } from './routing.ts';

/** Sends what an earlier broker on this folder accepted and did not deliver. */
export function resume(
  { dispatch, journal, triggers }: AcceptContext,
  log: (message: string, facts: Record<string, unknown>) => void,
): void {
  const queues = new Set(triggers.flatMap(({ name }) => [queueName(name, 'events'), queueName(name, 'dead-letters')]));
  for (const entry of journal.pending) {
    if (queues.has(entry.queue)) {
      dispatch.send(entry);
      continue;
    }
    // Knative deletes a Trigger's queue with the Trigger
    log('event of a Trigger that is gone: removed', { queue: entry.queue, id: entry.event.attributes['id'] });
    journal.remove(entry.number);
  }
}
