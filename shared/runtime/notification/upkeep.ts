import { randomUUID } from 'node:crypto';
import { notificationDue } from '#events/notification/due.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { forgetMails, listUnmailed } from '#shared/adapters/postgres/mail-upkeep.ts';
import { countDueMails, storeMail } from '#shared/adapters/postgres/mails.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import type { Publish } from '../outbox.ts';

export type MailUpkeep = {
  database: Database;
  /** Source of our own events. */
  eventSource: string;
  /** POSTs straight to a function. */
  publishStraight: (name: string, events: readonly OutgoingEvent[]) => ReturnType<Publish>;
  onTrouble: (what: string, error: unknown) => void;
};

export type MailUpkeepReport = {
  /** Mails of events that a broker has lost. */
  found: number;
  /** Mails that are due, counted up to a limit. */
  due: number;
  forgotten: number;
};

const foundAtMost = 50;
const dueAtMost = 500;
const keptDays = 90;

/**
 * What only time brings about: mails whose next try is due are asked for, events that a broker has lost are found in the outbox,
 * and what is old is forgotten. Repeatable; several may run at once.
 */
export function makeMailUpkeep(upkeep: MailUpkeep): () => Promise<MailUpkeepReport> {
  const { database, eventSource } = upkeep;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  async function lookAround(): Promise<{ found: number; forgotten: number }> {
    // it reads much of the outbox, and what it looks for is a minute old anyway
    if (performance.now() - lookedAtMs < 60_000) return { found: 0, forgotten: 0 };
    let found = 0;
    const wanted = { source: eventSource, limit: foundAtMost };
    for (const event of await listUnmailed(database, wanted)) {
      const { outcome } = await storeMail(database, event, { holds: false });
      if (outcome !== 'known') found += 1;
    }
    if (found < foundAtMost) lookedAtMs = performance.now();
    return { found, forgotten: await forgetMails(database, { olderThanDays: keptDays, limit: 1_000 }) };
  }

  return async () => {
    const { found, forgotten } = await lookAround();
    const due = await countDueMails(database, dueAtMost);
    if (due > 0) await askFor(due, upkeep);
    return { found, due, forgotten };
  };
}

async function askFor(due: number, { eventSource, publishStraight, onTrouble }: MailUpkeep): Promise<void> {
  const request = announce(notificationDue, { mails: due, by: 'tick' }, { id: randomUUID(), source: eventSource });
  const { failed } = await publishStraight('notify', [request]);
  for (const { reason } of failed) onTrouble('mails', new Error(`notify was not reached: ${reason}`));
}
