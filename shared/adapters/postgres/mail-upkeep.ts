import type { NotificationRequested } from '#events/notification/requested.ts';
import type { Queryable } from './database.ts';
import type { NotifiedEvent } from './mails.ts';

/** So many of the last events are looked through; a broker has to lose one for longer than it takes to write them. */
const lookedThrough = 20_000;

/** Events of the last hour that want a mail and have none, though a broker had a minute to bring them. Oldest first. */
export async function listUnmailed(
  queryable: Queryable,
  { type, source, limit }: { type: string; source: string; limit: number },
): Promise<NotifiedEvent[]> {
  const { rows } = await queryable.query<{ id: string; data: NotificationRequested }>(
    `select o.id, o.data from outbox o
     join instances i on i.id = o.data ->> 'instance'
     where o.sequence > (select coalesce(max(sequence), 0) from outbox) - $1::bigint
       and o.type = $2 and o.source = $3 and i.admin_login like '%@%'
       and o.created_at between clock_timestamp() - interval '1 hour' and clock_timestamp() - interval '1 minute'
       and not exists (select from mails m where m.id = o.id)
     order by o.sequence limit $4`,
    [lookedThrough, type, source, limit],
  );
  return rows.map(({ id, data }) => toNotified(id, data));
}

/** What an event asks for. */
export function toNotified(id: string, data: NotificationRequested): NotifiedEvent {
  const { notification, instance, customer, operation } = data;
  return { id, template: notification, instanceId: instance, customerId: customer, operationId: operation };
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
