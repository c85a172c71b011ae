import { randomUUID } from 'node:crypto';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type DueOperation, takeDueOperations } from '#shared/adapters/postgres/operation-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Publish } from '#shared/runtime/outbox.ts';

/** Operations one tick wakes; the rest come with the next one, oldest first. */
const perTick = 50;
/** A woken operation is not sent again before this is over: time for the broker to deliver and the lease to be taken. */
const holdOffMs = 5_000;
/** Overdue by more than this, the broker is not trusted any more: the advance goes straight to the function. */
const straightAfterMs = 10_000;

export type Wake = {
  database: Database;
  publish: Publish;
  /** POSTs events to an operation's function itself. */
  publishStraight: (functionName: string, events: readonly OutgoingEvent[]) => ReturnType<Publish>;
  eventSource: string;
};

function advanceOf(operation: DueOperation, source: string): OutgoingEvent {
  const overdue = `due for ${Math.round(operation.overdueMs)} ms`;
  const data = { operation: operation.id, instance: operation.instanceId, kind: operation.kind, reason: overdue };
  const event = announce(operationAdvance, data, { id: randomUUID(), source });
  const { traceparent } = operation;
  return traceparent === null ? event : { ...event, extensions: { ...event.extensions, traceparent } };
}

/** Which way each due operation is told: by the broker, or, when that has not worked, straight. Pure. */
export function waysToTell(due: readonly DueOperation[]): {
  byBroker: DueOperation[];
  straight: Map<string, DueOperation[]>;
} {
  const byBroker = due.filter((operation) => operation.overdueMs <= straightAfterMs);
  const straight = new Map<string, DueOperation[]>();
  for (const operation of due) {
    if (operation.overdueMs > straightAfterMs) {
      straight.set(operation.kind, [...(straight.get(operation.kind) ?? []), operation]);
    }
  }
  return { byBroker, straight };
}

/**
 * Wakes what is due: waits that are over, leases that ran out, queued operations whose turn has come. A broker that
 * refuses is by-passed in the same tick.
 */
export async function wakeDueOperations(wake: Wake): Promise<{ woken: number; straight: number; failed: number }> {
  const due = await takeDueOperations(wake.database, { limit: perTick, holdOffMs });
  const { byBroker, straight } = waysToTell(due);
  if (byBroker.length > 0) {
    const events = byBroker.map((operation) => advanceOf(operation, wake.eventSource));
    const { failed } = await wake.publish(events);
    const refused = new Set(failed.map(({ id }) => id));
    byBroker.forEach((operation, index) => {
      if (!refused.has(events[index]?.id ?? '')) return;
      straight.set(operation.kind, [...(straight.get(operation.kind) ?? []), operation]);
    });
  }
  let failed = 0;
  let sentStraight = 0;
  for (const [kind, operations] of straight) {
    const events = operations.map((operation) => advanceOf(operation, wake.eventSource));
    const result = await wake.publishStraight(kind, events);
    sentStraight += result.published.length;
    failed += result.failed.length;
  }
  return { woken: due.length, straight: sentStraight, failed };
}
