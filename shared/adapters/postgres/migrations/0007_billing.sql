-- Up Migration

-- What billing's news bring about. 14 days: when the older platform's billing service blocked an account.
alter table plans
  add column grace_days integer not null default 14 check (grace_days between 0 and 3650),
  add column on_overdue text not null default 'suspend' check (on_overdue in ('suspend', 'nothing')),
  add column on_cancellation text not null default 'terminate' check (on_cancellation in ('terminate', 'suspend', 'nothing')),
  add column on_expiry text not null default 'terminate' check (on_expiry in ('terminate', 'suspend', 'nothing'));

-- The facts of which the state follows, because time changes it too. No function ever wrote a row before. Billing may
-- know of a plan or an instance before we do.
alter table subscriptions
  drop column state,
  drop constraint subscriptions_instance_id_fkey,
  drop constraint subscriptions_plan_id_fkey,
  alter column plan_id set not null,
  add column phase text not null check (phase in ('trial', 'evergreen')),
  add column paid boolean not null,
  add column overdue_since timestamptz,
  add column ends_at timestamptz,
  add column ends_by text check (ends_by in ('cancellation', 'expiry')),
  -- The instance to be made, and the sequence of the event that said so: it may be older than the rest.
  add column configuration jsonb check (jsonb_typeof(configuration) = 'object'),
  add column configuration_sequence bigint,
  -- The event that told the state.
  add column cause text not null,
  -- When its state changes by time alone: a grace period or a term ends.
  add column action_due_at timestamptz,
  add constraint subscriptions_end check ((ends_at is null) = (ends_by is null)),
  add constraint subscriptions_configuration check ((configuration is null) = (configuration_sequence is null));
alter table subscriptions alter column sequence drop default;
create index subscriptions_customer on subscriptions (customer_id);
create index subscriptions_due on subscriptions (action_due_at) where action_due_at is not null;

-- What each source says of a customer himself; compared only within the source by its sequence.
create table customer_standings (
  source text not null,
  customer_id text not null references customers (id),
  standing text not null check (standing in ('active', 'deactivated', 'deleted')),
  sequence bigint not null,
  cause text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (source, customer_id)
);
create index customer_standings_customer on customer_standings (customer_id);

-- The last operation that billing asked for, per instance: asked once for each change of what it wants, and sent again
-- until the operation's function has it.
create table billing_requests (
  instance_id text primary key,
  customer_id text not null references customers (id),
  kind text not null check (kind in ('provision', 'suspend', 'resume', 'terminate', 'undo')),
  -- What billing believes to have brought about.
  is_suspended boolean not null,
  is_terminated boolean not null,
  -- Counts what was asked of the instance: the functions' order of suspends and resumes.
  sequence bigint not null check (sequence > 0),
  event_id uuid not null,
  data jsonb not null,
  asked_at timestamptz not null default clock_timestamp(),
  resends integer not null default 0,
  -- Null once the operation's function has it, or sending it again was given up.
  check_at timestamptz
);
create index billing_requests_customer on billing_requests (customer_id);
create index billing_requests_check on billing_requests (check_at) where check_at is not null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
