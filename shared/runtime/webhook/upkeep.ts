import { randomUUID } from 'node:crypto';
import { webhookDue } from '#events/webhook/due.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { countDue, storeDeliveries } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { deleteLeftEndpoints, forgetLeftovers } from '#shared/adapters/postgres/webhook-leftovers.ts';
import { forgetDeliveries } from '#shared/adapters/postgres/webhook-log.ts';
import { listUntold } from '#shared/adapters/postgres/webhook-untold.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { visibleTypes } from '#shared/domain/webhook/visible-events.ts';
import type { Publish } from '../outbox.ts';

export type WebhookUpkeep = {
  database: Database;
  /** Source of our own events. */
  eventSource: string;
  /** POSTs straight to a function. */
  publishStraight: (name: string, events: readonly OutgoingEvent[]) => ReturnType<Publish>;
  onTrouble: (what: string, error: unknown) => void;
};

export type WebhookUpkeepReport = {
  /** Deliveries of events that a broker has lost. */
  found: number;
  /** Deliveries that are due, counted up to a limit. */
  due: number;
  /** Endpoints that were deleted, because their customers were. */
  left: number;
  forgotten: number;
};

const untoldAtMost = 50;
const dueAtMost = 500;
/** One request sends some hundred to receivers that answer, so this many requests at once are asked for. */
const perRequest = 150;
const forgottenAtMost = 500;
/** What is left over stays for days anyway. */
const leftoversEveryMs = 600_000;

/**
 * What only time brings about: deliveries whose next try is due are asked for, events that a broker has lost are found in the
 * outbox, what is old is forgotten, and endpoints of customers who were deleted are deleted. Repeatable; several may run at once.
 */
export function makeWebhookUpkeep(upkeep: WebhookUpkeep): () => Promise<WebhookUpkeepReport> {
  const { database } = upkeep;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let clearedAtMs = Number.NEGATIVE_INFINITY;

  async function findUntold(): Promise<number> {
    // it reads much of the outbox, and what it looks for is a minute old anyway
    if (performance.now() - lookedAtMs < 60_000) return 0;
    let found = 0;
    for (const event of await listUntold(database, { types: visibleTypes, limit: untoldAtMost })) {
      found += (await storeDeliveries(database, event, { holds: false })).stored;
    }
    if (found < untoldAtMost) lookedAtMs = performance.now();
    return found;
  }

  async function clearUp(): Promise<{ left: number; forgotten: number }> {
    const forgotten = await forgetDeliveries(database, forgottenAtMost);
    if (performance.now() - clearedAtMs < leftoversEveryMs) return { left: 0, forgotten };
    const left = await deleteLeftEndpoints(database, { actor: upkeep.eventSource, limit: forgottenAtMost });
    const more = await forgetLeftovers(database, forgottenAtMost);
    if (left + more < forgottenAtMost) clearedAtMs = performance.now();
    return { left, forgotten: forgotten + more };
  }

  return async () => {
    const found = await findUntold();
    const due = await countDue(database, dueAtMost);
    await askFor(due, upkeep);
    return { found, due, ...(await clearUp()) };
  };
}

async function askFor(due: number, { eventSource, publishStraight, onTrouble }: WebhookUpkeep): Promise<void> {
  if (due === 0) return;
  const requests = Array.from({ length: Math.ceil(due / perRequest) }, () =>
    announce(webhookDue, { deliveries: due, by: 'tick' }, { id: randomUUID(), source: eventSource }),
  );
  const { failed } = await publishStraight('webhook', requests);
  for (const { reason } of failed) onTrouble('webhook deliveries', new Error(`webhook was not reached: ${reason}`));
}
