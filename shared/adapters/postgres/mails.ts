import { sameAddress } from '#shared/domain/notification/mail.ts';
import type { MailTemplate } from '#shared/domain/notification/templates.ts';
import type { MailVerdict } from '#shared/domain/notification/verdict.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Database, Queryable } from './database.ts';

/** An event of ours that wants a mail. */
export type NotifiedEvent = {
  /** The event's; the mail has the same. */
  id: string;
  template: MailTemplate;
  /** Null: it is about an endpoint. The mail then names the instance whose owner is written to. */
  instanceId: string | null;
  customerId: string;
  /** One of the two. */
  operationId: string | null;
  endpointId: string | null;
};

/** A mail somebody holds until its lease ends. */
export type HeldMail = Omit<NotifiedEvent, 'instanceId'> & {
  instanceId: string;
  address: string;
  language: string;
  /** From 1: whoever holds it under an older number has lost it. */
  attempt: number;
};

/** How long a sender has for a try, with what it writes about it. */
export const mailLeaseMs = 120_000;

const heldColumns = `m.id, m.template, m.instance_id as "instanceId", m.customer_id as "customerId",
  m.operation_id as "operationId", m.endpoint_id as "endpointId", m.address, m.language, m.attempts as attempt`;

/** Addresses as our own events accept them; records of an older platform may have a name in that place. */
const hasAddress = `i.admin_login ~ '^[A-Za-z0-9!#$%&''*+/=?^_\`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,188}$'`;

/** What is the customer's as a whole is told to the owner of the instance that he has used last. */
const lastInstance = `(select i.id from instances i where i.customer_id = $4 and ${hasAddress}
  order by i.purged_at is null desc, i.terminated_at is null desc, i.created_at desc, i.id limit 1)`;

/**
 * Writes the event's mail, to the instance's owner in the instance's language, and gives it to the caller to send (`holds`) or
 * leaves it to the tick. An event that comes again changes nothing. To an address that has bounced nothing is sent.
 */
export async function storeMail(
  queryable: Queryable,
  event: NotifiedEvent,
  { holds }: { holds: boolean },
): Promise<{ outcome: 'queued' | 'bounced' | 'known'; held?: HeldMail }> {
  const { id, template, instanceId, customerId, operationId, endpointId } = event;
  const { rows } = await queryable.query<HeldMail & { state: string }>(
    `insert into mails as m (id, template, instance_id, customer_id, operation_id, endpoint_id, address, language, state,
       attempts, next_attempt_at, last_error, ended_at)
     select $1, $2, i.id, i.customer_id, $5, $8, lower(i.admin_login), i.language,
       case when b.address is null then 'queued' else 'bounced' end,
       case when b.address is null and $6::boolean then 1 else 0 end,
       case when b.address is null then now() + case when $6 then $7::integer else 0 end * interval '1 ms' end,
       case when b.address is not null then 'The address has bounced before.' end,
       case when b.address is not null then now() end
     from instances i left join bounced_addresses b on b.address = lower(i.admin_login)
     where i.id = coalesce($3, ${lastInstance}) and i.customer_id = $4 and ${hasAddress}
     on conflict (id) do nothing
     returning ${heldColumns}, m.state`,
    [id, template, instanceId, customerId, operationId, holds, mailLeaseMs, endpointId],
  );
  const [row] = rows;
  if (row === undefined) return { outcome: 'known' };
  const { state, ...mail } = row;
  if (state !== 'queued') return { outcome: 'bounced' };
  return { outcome: 'queued', ...(holds ? { held: mail } : {}) };
}

/** Takes mails that are due. What another sender is taking is left to it. */
export async function takeDueMails(queryable: Queryable, limit: number): Promise<HeldMail[]> {
  const { rows } = await queryable.query<HeldMail>(
    `update mails m set attempts = m.attempts + 1, next_attempt_at = now() + $2::integer * interval '1 ms'
     from (select id from mails where state = 'queued' and next_attempt_at <= now()
       order by next_attempt_at limit $1 for update skip locked) due
     where m.id = due.id
     returning ${heldColumns}`,
    [limit, mailLeaseMs],
  );
  return rows;
}

/** How many could be sent now, counted up to `limit`. */
export async function countDueMails(queryable: Queryable, limit: number): Promise<number> {
  const { rows } = await queryable.query<{ count: number }>(
    `select count(*) from (select from mails where state = 'queued' and next_attempt_at <= now() limit $1) due`,
    [limit],
  );
  return rows[0]?.count ?? 0;
}

/** Writes what came of a try. `lost`: another sender has the mail by now. An address that does not exist is noted. */
export async function recordMail(
  database: Database,
  mail: Pick<HeldMail, 'id' | 'attempt' | 'address'>,
  verdict: MailVerdict,
): Promise<'recorded' | 'lost'> {
  const reason = 'reason' in verdict ? oneLine(verdict.reason, 300) : null;
  const state = verdict.is === 'again' ? 'queued' : verdict.is;
  const delayMs = verdict.is === 'again' ? verdict.delayMs : null;
  return await database.transaction(async (transaction) => {
    if (verdict.is === 'bounced') {
      await transaction.query(
        `insert into bounced_addresses (address, reason) values ($1, $2)
         on conflict (address) do update set reason = excluded.reason`,
        [sameAddress(mail.address), reason],
      );
    }
    const { rowCount } = await transaction.query(
      `update mails set state = $3, last_error = $4,
         next_attempt_at = case when $3 = 'queued' then now() + $5::integer * interval '1 ms' end,
         ended_at = case when $3 <> 'queued' then now() end
       where id = $1 and attempts = $2 and state = 'queued'`,
      [mail.id, mail.attempt, state, reason, delayMs],
    );
    return rowCount > 0 ? 'recorded' : 'lost';
  });
}

/** Why nothing is sent to an address, or undefined. */
export async function findBounce(queryable: Queryable, address: string): Promise<string | undefined> {
  const { rows } = await queryable.query<{ reason: string }>(
    'select reason from bounced_addresses where address = $1',
    [sameAddress(address)],
  );
  return rows[0]?.reason;
}

/** Lets mails go to an address again; false when there was nothing in the way. */
export async function clearBounce(queryable: Queryable, address: string): Promise<boolean> {
  const { rowCount } = await queryable.query('delete from bounced_addresses where address = $1', [
    sameAddress(address),
  ]);
  return rowCount > 0;
}
