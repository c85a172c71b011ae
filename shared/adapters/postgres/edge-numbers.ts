import type { Queryable } from './database.ts';

/** What is counted over days: it reads many rows, and changes slowly. */
type EdgeCounts = {
  mails: {
    /** That ended within the last day, by what became of them: sent, failed, bounced. */
    ended: Readonly<Record<string, number>>;
    bouncedAddresses: number;
  };
  webhooks: {
    /** Made within the last four days, by state: one is given up after three. */
    deliveries: Readonly<Record<string, number>>;
    /** `state`: enabled, failing or disabled; `reason`: why it is disabled, else empty. */
    endpoints: readonly { state: string; reason: string; count: number }[];
  };
  killBill: {
    /** Seconds since 1970; 0: no account was ever read; null: there are no accounts. */
    lastLookAt: number | null;
  };
};

/** What waits at the edge. Ages and delays in seconds; 0 where nothing waits. */
type EdgeWaiting = {
  /** `overdue`: how long the mail that waits longest might have been tried. */
  mails: { queued: number; oldestAge: number; overdue: number };
  /** `overdue` as of mails, without endpoints that fail: they are tried one delivery at a time. */
  webhooks: { waiting: number; oldestAge: number; overdue: number };
  /** Looks that are due and that nobody is at; accounts whose last look failed. */
  killBill: { due: number; oldestDelay: number; failing: number };
};

/** Mails, customers' endpoints and the billing service in numbers, without those that could not be read. */
export type EdgeNumbers = {
  mails: Partial<EdgeWaiting['mails'] & EdgeCounts['mails']>;
  webhooks: Partial<EdgeWaiting['webhooks'] & EdgeCounts['webhooks']>;
  killBill: Partial<EdgeWaiting['killBill'] & EdgeCounts['killBill']>;
};

const noCounts: EdgeCounts = {
  mails: { ended: {}, bouncedAddresses: 0 },
  webhooks: { deliveries: {}, endpoints: [] },
  killBill: { lastLookAt: null },
};

const noneWaits: EdgeWaiting = {
  mails: { queued: 0, oldestAge: 0, overdue: 0 },
  webhooks: { waiting: 0, oldestAge: 0, overdue: 0 },
  killBill: { due: 0, oldestDelay: 0, failing: 0 },
};

export const noEdgeNumbers: EdgeNumbers = {
  mails: { ...noneWaits.mails, ...noCounts.mails },
  webhooks: { ...noneWaits.webhooks, ...noCounts.webhooks },
  killBill: { ...noneWaits.killBill, ...noCounts.killBill },
};

const byState = (table: string, condition: string) => `
  (select coalesce(jsonb_object_agg(state, n), '{}') from (
    select state, count(*) as n from ${table} where ${condition} group by state) as counted)`;

// A mail is tried for some two days: what ended within one was made within four, and made is what the index knows.
const countsText = `
  select
    jsonb_build_object(
      'ended', ${byState(
        'mails',
        `state <> 'queued' and created_at > now() - interval '4 days' and ended_at > now() - interval '1 day'`,
      )},
      'bouncedAddresses', (select count(*) from bounced_addresses)) as mails,
    jsonb_build_object(
      'deliveries', ${byState('webhook_deliveries', `state <> 'waiting' and created_at > now() - interval '4 days'`)},
      'endpoints', (select coalesce(jsonb_agg(counted), '[]') from (
        select case when disabled_reason is not null then 'disabled' when failing_since is not null then 'failing'
            else 'enabled' end as state,
          coalesce(disabled_reason, '') as reason, count(*) as count
        from webhook_endpoints where deleted_at is null group by 1, 2) as counted)) as webhooks,
    jsonb_build_object('lastLookAt', (
      select case when count(*) > 0 then coalesce(extract(epoch from max(looked_at)), 0)::float8 end
      from kill_bill_accounts)) as "killBill"`;

/** Those that are counted over days. */
export async function readEdgeCounts(queryable: Queryable): Promise<EdgeCounts> {
  const { rows } = await queryable.query<EdgeCounts>(countsText);
  return rows[0] ?? noCounts;
}

const age = (since: string) => `coalesce(extract(epoch from clock_timestamp() - min(${since}))::float8, 0)`;
const delay = (due: string) => `greatest(${age(due)}, 0)`;

// Each of them is found by an index of those that wait.
const waitingText = `
  select
    (select jsonb_build_object('queued', count(*), 'oldestAge', ${age('created_at')}, 'overdue', ${delay('next_attempt_at')})
      from mails where state = 'queued') as mails,
    (select jsonb_build_object('waiting', count(*), 'oldestAge', ${age('d.created_at')},
        'overdue', greatest(coalesce(extract(epoch from clock_timestamp()
          - min(d.next_attempt_at) filter (where e.failing_since is null))::float8, 0), 0))
      from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
      where d.state = 'waiting') as webhooks,
    (select jsonb_build_object(
        'due', count(*) filter (where look_at <= clock_timestamp()),
        'oldestDelay', ${delay('look_at')},
        'failing', count(*) filter (where attempts > 0))
      from kill_bill_accounts
      where look_at is not null and (leased_until is null or leased_until <= clock_timestamp())) as "killBill"`;

/** What waits now. */
export async function readEdgeWaiting(queryable: Queryable): Promise<EdgeWaiting> {
  const { rows } = await queryable.query<EdgeWaiting>(waitingText);
  return rows[0] ?? noneWaits;
}

/** Where the numbers of the edge come from: undefined for what could not be read. */
export type EdgeReads = {
  readWaiting: () => Promise<EdgeWaiting | undefined>;
  readCounts: () => Promise<EdgeCounts | undefined>;
};

/** Whoever asks often asks for the counts less often, and does without what cannot be read. */
export async function readEdgeNumbers(
  queryable: Queryable,
  { readWaiting, readCounts }: EdgeReads = {
    readWaiting: () => readEdgeWaiting(queryable),
    readCounts: () => readEdgeCounts(queryable),
  },
): Promise<EdgeNumbers> {
  const waiting = await readWaiting();
  const counts = await readCounts();
  return {
    mails: { ...waiting?.mails, ...counts?.mails },
    webhooks: { ...waiting?.webhooks, ...counts?.webhooks },
    killBill: { ...waiting?.killBill, ...counts?.killBill },
  };
}
