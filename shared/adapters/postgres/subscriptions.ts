import {
  type BillingPolicy,
  type BillingState,
  type CustomerStanding,
  defaultBillingPolicy,
  standingOf,
} from '#shared/domain/billing/policy.ts';
import type { InstanceConfiguration, Subscription } from '#shared/domain/billing/subscription.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** Serialises everything that is decided about one customer's bills until the transaction ends. */
export async function lockBilling(transaction: Queryable, customerId: string): Promise<void> {
  await transaction.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`billing ${customerId}`]);
}

/** The same, unless somebody else is deciding about him now. */
export async function tryLockBilling(transaction: Queryable, customerId: string): Promise<boolean> {
  const { rows } = await transaction.query<{ locked: boolean }>(
    'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked',
    [`billing ${customerId}`],
  );
  return rows[0]?.locked ?? false;
}

export async function findSubscription(
  queryable: Queryable,
  { source, id }: { source: string; id: string },
): Promise<Subscription | undefined> {
  const { rows } = await queryable.query<Row<'subscriptions'>>(
    'select * from subscriptions where source = $1 and id = $2',
    [source, id],
  );
  return rows[0] === undefined ? undefined : toSubscription(rows[0]);
}

/** Writes the subscription as it is now. When its state changes by itself is looked up anew by `noteDue`. */
export async function saveSubscription(transaction: Queryable, one: Subscription): Promise<void> {
  await transaction.query(
    `insert into subscriptions (source, id, customer_id, instance_id, plan_id, phase, paid, overdue_since, ends_at,
       ends_by, sequence, cause, configuration, configuration_sequence, paused, trial, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, clock_timestamp())
     on conflict (source, id) do update set
       instance_id = excluded.instance_id, plan_id = excluded.plan_id, phase = excluded.phase, paid = excluded.paid,
       overdue_since = excluded.overdue_since, ends_at = excluded.ends_at, ends_by = excluded.ends_by,
       sequence = excluded.sequence, cause = excluded.cause, configuration = excluded.configuration,
       configuration_sequence = excluded.configuration_sequence, paused = excluded.paused,
       trial = excluded.trial, updated_at = excluded.updated_at`,
    [
      one.source,
      one.id,
      one.customerId,
      one.instanceId,
      one.planId,
      one.phase,
      one.paid,
      one.overdueSince,
      one.ends?.at ?? null,
      one.ends?.by ?? null,
      one.sequence,
      one.cause,
      one.configuration === null ? null : JSON.stringify(one.configuration),
      one.configurationSequence,
      one.paused,
      one.trial,
    ],
  );
}

/** Has the customer had a trial by another subscription, or paid for one? Asked under his billing lock. */
export async function hasOtherSubscription(
  queryable: Queryable,
  { source, id, customerId }: Pick<Subscription, 'source' | 'id' | 'customerId'>,
): Promise<boolean> {
  const { rows } = await queryable.query<{ found: boolean }>(
    `select exists (select 1 from subscriptions
       where customer_id = $3 and (source, id) <> ($1, $2) and (trial = 'granted' or paid)) as found`,
    [source, id, customerId],
  );
  return rows[0]?.found ?? false;
}

/** When the states change by time alone; null when they do not. */
export async function noteDue(
  transaction: Queryable,
  dues: readonly { source: string; id: string; dueAt: Date | null }[],
): Promise<void> {
  if (dues.length === 0) return;
  await transaction.query(
    `update subscriptions set action_due_at = due.at
     from unnest($1::text[], $2::text[], $3::timestamptz[]) as due (source, id, at)
     where subscriptions.source = due.source and subscriptions.id = due.id`,
    [dues.map(({ source }) => source), dues.map(({ id }) => id), dues.map(({ dueAt }) => dueAt)],
  );
}

/** A subscription with the policy of its plan, or the default where we have no such plan. */
export type HeldSubscription = {
  facts: Subscription;
  policy: BillingPolicy;
  /** When the last event that told something of it came. */
  heldSince: Date;
};

/** The customer's subscriptions that pay for these instances, and the time by the database's clock. */
export async function listSubscriptions(
  queryable: Queryable,
  wanted: { customerId: string; instanceIds: readonly string[] },
): Promise<{ now: Date; subscriptions: HeldSubscription[] }> {
  const { rows } = await queryable.query<{ now: Date } & Partial<SubscriptionWithPolicy>>(
    `select clock.now, held.* from (select clock_timestamp() as now) as clock
     left join (
       select s.*, p.grace_days, p.on_overdue, p.on_cancellation, p.on_expiry
       from subscriptions s left join plans p on p.id = s.plan_id
       where s.customer_id = $1 and s.instance_id = any($2::text[])) as held on true`,
    [wanted.customerId, wanted.instanceIds],
  );
  const held = rows.filter((row) => row.id !== undefined && row.id !== null) as SubscriptionWithPolicy[];
  return {
    now: rows[0]?.now ?? new Date(),
    subscriptions: held.map((row) => ({
      facts: toSubscription(row),
      policy: toPolicy(row),
      heldSince: row.updated_at,
    })),
  };
}

/** Instances of the customer, those that billing knows of included. */
export async function listInstancesOf(queryable: Queryable, customerId: string): Promise<string[]> {
  const { rows } = await queryable.query<{ id: string }>(
    `select id from instances where customer_id = $1 and purged_at is null
     union select instance_id from subscriptions where customer_id = $1 and instance_id is not null`,
    [customerId],
  );
  return rows.map(({ id }) => id);
}

/** Customers with a subscription whose state has changed by time, the longest waiting first. */
export async function listDueCustomers(queryable: Queryable, limit: number): Promise<string[]> {
  const { rows } = await queryable.query<{ customer_id: string }>(
    `select customer_id from subscriptions where action_due_at <= clock_timestamp()
     group by customer_id order by min(action_due_at) limit $1`,
    [limit],
  );
  return rows.map(({ customer_id }) => customer_id);
}

/** Subscriptions of the customer whose state has changed by time. */
export async function listDue(queryable: Queryable, customerId: string): Promise<Subscription[]> {
  const { rows } = await queryable.query<Row<'subscriptions'>>(
    'select * from subscriptions where customer_id = $1 and action_due_at <= clock_timestamp()',
    [customerId],
  );
  return rows.map(toSubscription);
}

/**
 * What the customer's bills say about an instance now, by the database's clock: `none` when billing knows nothing of it,
 * which holds nothing up. A subscription that names another customer's instance counts for nothing.
 */
export async function billingStateOf(queryable: Queryable, instanceId: string): Promise<BillingState> {
  const customerId = await findOwner(queryable, instanceId);
  if (customerId === undefined) return 'none';
  const { now, subscriptions } = await listSubscriptions(queryable, { customerId, instanceIds: [instanceId] });
  return standingOf(subscriptions, await standingOfCustomer(queryable, customerId), now).state;
}

/** The instance's customer; undefined when there is no such instance. */
export async function findOwner(queryable: Queryable, instanceId: string): Promise<string | undefined> {
  const { rows } = await queryable.query<{ customer_id: string }>('select customer_id from instances where id = $1', [
    instanceId,
  ]);
  return rows[0]?.customer_id;
}

/** What was last said of the customer, by whichever source: across sources the order of arrival decides. */
export async function standingOfCustomer(queryable: Queryable, customerId: string): Promise<CustomerStanding> {
  const { rows } = await queryable.query<Pick<Row<'customer_standings'>, 'standing'>>(
    'select standing from customer_standings where customer_id = $1 order by updated_at desc limit 1',
    [customerId],
  );
  return rows[0]?.standing ?? 'active';
}

/** Notes what a source says of a customer; false when it has said something newer before. */
export async function saveStanding(
  transaction: Queryable,
  news: { source: string; customerId: string; standing: CustomerStanding; sequence: number; cause: string },
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `insert into customer_standings as known (source, customer_id, standing, sequence, cause)
     values ($1, $2, $3, $4, $5)
     on conflict (source, customer_id) do update
       set standing = excluded.standing, sequence = excluded.sequence, cause = excluded.cause,
           updated_at = clock_timestamp()
       where known.sequence < excluded.sequence`,
    [news.source, news.customerId, news.standing, news.sequence, news.cause],
  );
  return rowCount > 0;
}

type PolicyColumns = Pick<Row<'plans'>, 'grace_days' | 'on_overdue' | 'on_cancellation' | 'on_expiry'>;
type SubscriptionWithPolicy = Row<'subscriptions'> & { [Name in keyof PolicyColumns]: PolicyColumns[Name] | null };

function toPolicy(row: SubscriptionWithPolicy): BillingPolicy {
  const { grace_days, on_overdue, on_cancellation, on_expiry } = row;
  if (grace_days === null || on_overdue === null || on_cancellation === null || on_expiry === null) {
    return defaultBillingPolicy;
  }
  return { graceDays: grace_days, onOverdue: on_overdue, onCancellation: on_cancellation, onExpiry: on_expiry };
}

function toSubscription(row: Row<'subscriptions'>): Subscription {
  return {
    source: row.source,
    id: row.id,
    customerId: row.customer_id,
    instanceId: row.instance_id,
    planId: row.plan_id,
    phase: row.phase,
    paid: row.paid,
    overdueSince: row.overdue_since,
    ends: row.ends_at === null || row.ends_by === null ? null : { at: row.ends_at, by: row.ends_by },
    paused: row.paused,
    sequence: row.sequence,
    cause: row.cause,
    configuration: row.configuration as InstanceConfiguration | null,
    configurationSequence: row.configuration_sequence,
    trial: row.trial,
  };
}
