import { type NotificationRequested, notificationRequested } from '#events/notification/requested.ts';
import { type WebhookEndpointDisabled, webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import type { Queryable } from './database.ts';
import type { NotifiedEvent } from './mails.ts';

/** So many of the last events are looked through; a broker has to lose one for longer than it takes to write them. */
const lookedThrough = 20_000;

type Written =
  | { id: string; type: typeof notificationRequested.type; data: NotificationRequested }
  | { id: string; type: typeof webhookEndpointDisabled.type; data: WebhookEndpointDisabled };

/** Events of ours that want a mail. */
export const mailedTypes = [notificationRequested.type, webhookEndpointDisabled.type] as const;

/** Those of the last hour that have none, though a broker had a minute to bring them. Oldest first. */
export async function listUnmailed(
  queryable: Queryable,
  { source, limit }: { source: string; limit: number },
): Promise<NotifiedEvent[]> {
  const { rows } = await queryable.query<Written>(
    `select o.id, o.type, o.data from outbox o
     where o.sequence > (select coalesce(max(sequence), 0) from outbox) - $1::bigint
       and o.type = any ($2) and o.source = $3
       and o.created_at between clock_timestamp() - interval '1 hour' and clock_timestamp() - interval '1 minute'
       and exists (select from instances i where i.admin_login like '%@%'
         and (i.id = o.data ->> 'instance' or not o.data ? 'instance' and i.customer_id = o.data ->> 'customer'))
       and not exists (select from mails m where m.id = o.id)
     order by o.sequence limit $4`,
    [lookedThrough, mailedTypes, source, limit],
  );
  return rows.map(toNotified);
}

/** What an event asks for. */
export function toNotified({ id, type, data }: Written): NotifiedEvent {
  if (type === webhookEndpointDisabled.type) {
    const { customer, endpoint } = data;
    return {
      ...{ id, template: 'webhook-disabled', customerId: customer },
      ...{ instanceId: null, operationId: null, endpointId: endpoint },
    };
  }
  const { notification, instance, customer, operation } = data;
  return {
    ...{ id, template: notification, customerId: customer },
    ...{ instanceId: instance, operationId: operation, endpointId: null },
  };
}

/** Forgets mails that ended long ago, and links whose time is over. An outbox forgets sooner: none is sent again. */
export async function forgetMails(
  queryable: Queryable,
  { olderThanDays, limit }: { olderThanDays: number; limit: number },
): Promise<number> {
  const mails = await queryable.query(
    `delete from mails where id in (
       select id from mails where state <> 'queued' and created_at < now() - $1::integer * interval '1 day' limit $2)`,
    [olderThanDays, limit],
  );
  const links = await queryable.query(
    `delete from first_logins where token_sha256 in (
       select token_sha256 from first_logins where expires_at < now() limit $1)`,
    [limit],
  );
  return mails.rowCount + links.rowCount;
}
