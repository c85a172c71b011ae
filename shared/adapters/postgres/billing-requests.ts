import { requestEvent } from '#shared/domain/billing/announce.ts';
import type { BillingRequestKind, InstanceFacts, LastRequest, NextRequest } from '#shared/domain/billing/requests.ts';
import type { Queryable } from './database.ts';
import { enqueue } from './outbox.ts';
import type { Row } from './rows.ts';

/** What the records say of an instance that is decided about. */
export type BilledInstance = Pick<InstanceFacts, 'presence' | 'isTerminated' | 'isSuspended'> & {
  instanceId: string;
  last: (LastRequest & { sequence: number; data: unknown }) | undefined;
};

type BilledRow = {
  instance_id: string;
  owner: string | null;
  desired_state: Row<'instances'>['desired_state'] | null;
  is_suspended_now: boolean;
  is_settled: boolean;
  is_refused: boolean | null;
  is_joined: boolean;
} & { [Name in 'kind' | 'is_suspended' | 'is_terminated' | 'sequence' | 'data']: Row<'billing_requests'>[Name] | null };

/** A request is with its function when that has noted the event, as accepted or as refused. */
const isHandled = 'exists (select 1 from inbox where inbox.source = $2 and inbox.id = r.event_id::text)';

/** Reads what decides about instances. `eventSource` is the source of our own events. */
export async function readBilledInstances(
  queryable: Queryable,
  wanted: { customerId: string; instanceIds: readonly string[]; eventSource: string },
): Promise<BilledInstance[]> {
  const { rows } = await queryable.query<BilledRow>(
    `select wanted.instance_id, i.customer_id as owner, i.desired_state,
       exists (select 1 from suspensions s
         where s.instance_id = i.id and s.reason = 'billing' and s.closed_at is null) as is_suspended_now,
       r.kind, r.is_suspended, r.is_terminated, r.sequence, r.data,
       r.check_at is null or ${isHandled} as is_settled,
       r.asked_at > clock_timestamp() - interval '1 day' and exists (select 1 from inbox
         where inbox.source = $2 and inbox.id = r.event_id::text and inbox.outcome like 'refused: %'
           and inbox.outcome <> 'refused: terminated') as is_refused,
       exists (select 1 from inbox where inbox.source = $2 and inbox.id = r.event_id::text
         and (inbox.outcome = 'coalesced' or inbox.outcome like 'refused: %')) as is_joined
     from unnest($1::text[]) as wanted (instance_id)
     left join instances i on i.id = wanted.instance_id
     left join billing_requests r on r.instance_id = wanted.instance_id
     order by wanted.instance_id`,
    [wanted.instanceIds, wanted.eventSource],
  );
  return rows.map((row) => ({
    instanceId: row.instance_id,
    presence: row.owner === null ? 'absent' : row.owner === wanted.customerId ? 'own' : 'foreign',
    isTerminated: row.desired_state === 'terminated',
    isSuspended: row.is_suspended_now,
    last: toLast(row),
  }));
}

function toLast(row: BilledRow): BilledInstance['last'] {
  const { kind, is_suspended, is_terminated, sequence, data } = row;
  if (kind === null || is_suspended === null || is_terminated === null || sequence === null) return undefined;
  return {
    kind,
    isSuspended: is_suspended,
    isTerminated: is_terminated,
    sequence,
    data,
    isSettled: row.is_settled,
    isRefused: row.is_refused === true,
    isJoined: row.is_joined,
  };
}

/** A request as it is written down; `sequence` is one more than the last one's. */
export type NewRequest = NextRequest & {
  instanceId: string;
  customerId: string;
  sequence: number;
  eventId: string;
  data: object;
};

/** Long enough for a broker to bring an event to a function that has to start first. */
const firstCheckMs = 30_000;
const longestWaitMs = 600_000;
/** About 5 hours. */
const maxResends = 30;

export async function saveRequest(transaction: Queryable, request: NewRequest): Promise<void> {
  await transaction.query(
    `insert into billing_requests (instance_id, customer_id, kind, is_suspended, is_terminated, sequence, event_id, data,
       check_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::integer * interval '1 millisecond')
     on conflict (instance_id) do update set
       customer_id = excluded.customer_id, kind = excluded.kind, is_suspended = excluded.is_suspended,
       is_terminated = excluded.is_terminated, sequence = excluded.sequence, event_id = excluded.event_id,
       data = excluded.data, check_at = excluded.check_at, asked_at = clock_timestamp(), resends = 0`,
    [
      request.instanceId,
      request.customerId,
      request.kind,
      request.isSuspended,
      request.isTerminated,
      request.sequence,
      request.eventId,
      JSON.stringify(request.data),
      firstCheckMs,
    ],
  );
}

/** Customers with a request of which it is not known yet that its function has it. */
export async function listCustomersToCheck(queryable: Queryable, limit: number): Promise<string[]> {
  const { rows } = await queryable.query<{ customer_id: string }>(
    `select customer_id from billing_requests where check_at <= clock_timestamp()
     group by customer_id order by min(check_at) limit $1`,
    [limit],
  );
  return rows.map(({ customer_id }) => customer_id);
}

/** `put-off`: refused because of what else is asked of the instance now; it is to be asked for anew. */
export type CheckedRequest = {
  instanceId: string;
  kind: BillingRequestKind;
  eventId: string;
  became: 'settled' | 'put-off' | 'given-up' | 'resent';
};

/**
 * Looks after the customer's requests that are due: one that its function has is settled; another is published once
 * more under the same id, because a broker may have lost it, with growing waits and not for ever.
 */
export async function checkRequests(
  transaction: Queryable,
  { customerId, eventSource }: { customerId: string; eventSource: string },
): Promise<CheckedRequest[]> {
  const { rows } = await transaction.query<CheckedRow>(
    `select r.*, (select inbox.outcome from inbox where inbox.source = $2 and inbox.id = r.event_id::text) as came_to
     from billing_requests r
     where customer_id = $1 and check_at <= clock_timestamp()
     for update of r skip locked`,
    [customerId, eventSource],
  );
  const checked: CheckedRequest[] = [];
  for (const row of rows) {
    const became = fateOf(row);
    if (became === 'resent') await publishAgain(transaction, { ...row, eventSource });
    const waitMs = became === 'resent' ? Math.min(firstCheckMs * 2 ** row.resends, longestWaitMs) : null;
    const { is_suspended, is_terminated } = became === 'put-off' ? beliefBefore(row) : row;
    await transaction.query(
      `update billing_requests set check_at = clock_timestamp() + $2::integer * interval '1 millisecond',
         resends = resends + $3, is_suspended = $4, is_terminated = $5
       where instance_id = $1`,
      [row.instance_id, waitMs, became === 'resent' ? 1 : 0, is_suspended, is_terminated],
    );
    checked.push({ instanceId: row.instance_id, kind: row.kind, eventId: row.event_id, became });
  }
  return checked;
}

type CheckedRow = Row<'billing_requests'> & { came_to: string | null };

function fateOf({ came_to, resends }: CheckedRow): CheckedRequest['became'] {
  if (came_to === 'refused: too-many-operations') return 'put-off';
  if (came_to !== null) return 'settled';
  return resends >= maxResends ? 'given-up' : 'resent';
}

/** What was believed before the request. */
function beliefBefore({ kind, is_suspended, is_terminated }: CheckedRow) {
  return {
    is_suspended: kind === 'suspend' ? false : kind === 'resume' ? true : is_suspended,
    is_terminated: kind === 'terminate' ? false : kind === 'undo' ? true : is_terminated,
  };
}

/** One that waits to be published is left alone; one that the outbox has forgotten is written anew. */
async function publishAgain(
  transaction: Queryable,
  request: { event_id: string; kind: BillingRequestKind; instance_id: string; data: unknown; eventSource: string },
): Promise<void> {
  await transaction.query('update outbox set published_at = null where id = $1', [request.event_id]);
  const envelope = { id: request.event_id, source: request.eventSource, instanceId: request.instance_id };
  await enqueue(transaction, [requestEvent(request.kind, request.data, envelope)]);
}
