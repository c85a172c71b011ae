import type { AnyEventDefinition } from '#events/envelope.ts';
import { notificationDue } from '#events/notification/due.ts';
import { notificationRequested } from '#events/notification/requested.ts';
import { webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { toNotified } from '#shared/adapters/postgres/mail-upkeep.ts';
import { storeMail, takeDueMails } from '#shared/adapters/postgres/mails.ts';
import { type Mailing, sendMails } from '#shared/runtime/notification/send-mails.ts';

export const notifyEvents = [
  notificationRequested,
  webhookEndpointDisabled,
  notificationDue,
] as const satisfies readonly AnyEventDefinition[];

export type NotifyEvent = TypedEvent<(typeof notifyEvents)[number]>;

export type NotifyDependencies = Mailing & {
  /** Source of our own events. */
  eventSource: string;
  /** No mails are taken after so much of a request, which then lasts as long as the mail server may. The tick waits for it. */
  budgetMs?: number;
};

/** As many as there are connections, some times over. */
const perRound = 20;

/**
 * An event of ours becomes a mail to the owner, which is tried once before the answer. What fails, and what a process
 * did not come to, is due again by its row: the tick says so.
 */
export function notifyHandler(dependencies: NotifyDependencies): (event: NotifyEvent) => Promise<string> {
  const { database, eventSource } = dependencies;

  async function notify(event: Exclude<NotifyEvent, { type: typeof notificationDue.type }>): Promise<string> {
    // the id is the mail's: nobody else's may be in the way of ours
    if (event.source !== eventSource || !uuid.test(event.id)) return 'nothing-to-do';
    const { outcome, held } = await storeMail(database, toNotified(event), { holds: true });
    if (outcome === 'known') return 'nothing-to-do';
    if (held === undefined) return outcome;
    const counts = await sendMails([held], dependencies);
    return counts.sent > 0 ? 'sent' : counts.again > 0 ? 'queued' : counts.bounced > 0 ? 'bounced' : 'failed';
  }

  async function sendDue(): Promise<string> {
    const until = performance.now() + (dependencies.budgetMs ?? 3_000);
    let tried = 0;
    while (performance.now() < until) {
      const held = await takeDueMails(database, perRound);
      if (held.length === 0) break;
      tried += held.length;
      await sendMails(held, dependencies);
    }
    return tried > 0 ? 'sent' : 'nothing-to-do';
  }

  return (event) => (event.type === notificationDue.type ? sendDue() : notify(event));
}

/** Ids of our own events. */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
