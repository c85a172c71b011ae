import type { Saying, Told } from '#shared/domain/kill-bill/announcements.ts';
import type { SubscriptionState } from '#shared/domain/kill-bill/view.ts';
import type { Queryable } from './database.ts';

/** A look that was taken: nobody else's result counts while it is held. */
export type Look = { accountId: string; fence: number; asked: number; attempts: number };

/** Longer than the budget of a look. */
const leaseMs = 60_000;

/** Takes the account for one look; undefined when nothing is due, or somebody else is looking. */
export async function takeLook(queryable: Queryable, accountId: string): Promise<Look | undefined> {
  const { rows } = await queryable.query<{ fence: number; asked: number; attempts: number }>(
    `update kill_bill_accounts set fence = fence + 1,
       leased_until = clock_timestamp() + $2::integer * interval '1 millisecond'
     where id = $1 and look_at <= clock_timestamp() and (leased_until is null or leased_until <= clock_timestamp())
     returning fence, asked, attempts`,
    [accountId, leaseMs],
  );
  return rows[0] === undefined ? undefined : { accountId, ...rows[0] };
}

/** What was said of the account before; undefined when the look is not ours any more. Locks it until the transaction ends. */
export async function readTold(
  transaction: Queryable,
  { accountId, fence }: Look,
): Promise<(Told & { incompleteLooks: number; now: Date }) | undefined> {
  const { rows } = await transaction.query<{ incomplete_looks: number; now: Date }>(
    `select incomplete_looks, clock_timestamp() as now from kill_bill_accounts where id = $1 and fence = $2 for update`,
    [accountId, fence],
  );
  const [account] = rows;
  if (account === undefined) return undefined;
  const states = await transaction.query<{ id: string; sequence: number; state: SubscriptionState }>(
    'select id, sequence, state from kill_bill_subscriptions where account_id = $1',
    [accountId],
  );
  const payments = await transaction.query<{ name: string }>(
    'select name from kill_bill_payments where account_id = $1',
    [accountId],
  );
  return {
    incompleteLooks: account.incomplete_looks,
    now: account.now,
    states: new Map(states.rows.map(({ id, sequence, state }) => [id, { sequence, state }])),
    payments: new Set(payments.rows.map(({ name }) => name)),
  };
}

/** Writes down what is said now. */
export async function saveTold(
  transaction: Queryable,
  accountId: string,
  { states, payments }: Pick<Saying, 'states' | 'payments'>,
): Promise<void> {
  if (states.length > 0) {
    await transaction.query(
      `insert into kill_bill_subscriptions (id, account_id, sequence, state)
       select said.id, $1, said.sequence, said.state
       from unnest($2::text[], $3::bigint[], $4::jsonb[]) as said (id, sequence, state)
       on conflict (id) do update
         set sequence = excluded.sequence, state = excluded.state, updated_at = clock_timestamp()`,
      [
        accountId,
        states.map(({ id }) => id),
        states.map(({ sequence }) => sequence),
        states.map(({ state }) => JSON.stringify(state)),
      ],
    );
  }
  if (payments.length > 0) {
    await transaction.query(
      `insert into kill_bill_payments (account_id, name) select $1, unnest($2::text[]) on conflict do nothing`,
      [accountId, payments],
    );
  }
}

/** How a look ended: when to look again without being asked (null: never), and what a person has to mend. */
export type LookEnd = { customerId: string | null; nextAt: Date | null; isIncomplete: boolean; problem: string | null };

/** Ends the look. True when something was asked for since it began: look again at once. */
export async function endLook(transaction: Queryable, look: Look, end: LookEnd): Promise<boolean> {
  const { rows } = await transaction.query<{ is_asked_again: boolean }>(
    `update kill_bill_accounts set looked = $3, looked_at = clock_timestamp(), leased_until = null, attempts = 0,
       customer_id = coalesce($4, customer_id), last_error = $5,
       incomplete_looks = case when $6 then incomplete_looks + 1 else 0 end,
       look_at = case when asked > $3 then clock_timestamp() else $7::timestamptz end,
       sent_at = case when asked > $3 then clock_timestamp() end
     where id = $1 and fence = $2
     returning asked > $3 as is_asked_again`,
    [look.accountId, look.fence, look.asked, end.customerId, end.problem, end.isIncomplete, end.nextAt],
  );
  return rows[0]?.is_asked_again ?? false;
}

/** Puts the look off; `reason` holds nothing secret. */
export async function putOffLook(
  queryable: Queryable,
  { accountId, fence }: Look,
  { afterMs, reason }: { afterMs: number; reason: string },
): Promise<void> {
  await queryable.query(
    `update kill_bill_accounts set attempts = attempts + 1, last_error = $3, leased_until = null, sent_at = null,
       look_at = clock_timestamp() + $4::integer * interval '1 millisecond'
     where id = $1 and fence = $2`,
    [accountId, fence, reason.slice(0, 1_000), afterMs],
  );
}

/**
 * Accounts that are due and that nobody looks at, the longest waiting first. Each is its taker's to ask for, and is due
 * again after `againAfterMs`, because an event may be lost.
 */
export async function takeDueAccounts(
  transaction: Queryable,
  { limit, againAfterMs }: { limit: number; againAfterMs: number },
): Promise<string[]> {
  const { rows } = await transaction.query<{ id: string }>(
    `update kill_bill_accounts set sent_at = clock_timestamp() where id in (
       select id from kill_bill_accounts
       where look_at <= clock_timestamp() and (leased_until is null or leased_until <= clock_timestamp())
         and (sent_at is null or sent_at <= clock_timestamp() - $2::integer * interval '1 millisecond')
       order by look_at limit $1 for update skip locked)
     returning id`,
    [limit, againAfterMs],
  );
  return rows.map(({ id }) => id);
}
