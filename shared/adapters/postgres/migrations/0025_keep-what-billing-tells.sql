-- Up Migration

-- What billing services told by webhook, once per content: their repetition is counted, not done again. No bodies: what
-- a notification claims is never believed, so nothing of it but names is kept.
create table billing_notifications (
  form text not null check (form in ('kill-bill', 'signed')),
  -- sha256 of the content, or of the sender's own id where it gives one.
  key bytea not null check (octet_length(key) = 32),
  content_hash bytea not null check (octet_length(content_hash) = 32),
  type text not null check (length(type) between 1 and 100),
  account_id text,
  object_id text,
  deliveries integer not null default 1,
  received_at timestamptz not null default clock_timestamp(),
  last_received_at timestamptz not null default clock_timestamp(),
  primary key (form, key)
);
create index billing_notifications_received on billing_notifications (last_received_at);

-- Accounts of Kill Bill that are looked at. `asked` counts what said that something happened; `looked` is its value when
-- the last finished look began. More was asked than looked at: another look is due.
create table kill_bill_accounts (
  id text primary key,
  customer_id text,
  asked bigint not null default 1,
  looked bigint not null default 0,
  -- When to look next; null: nothing is due.
  look_at timestamptz,
  -- When somebody was last asked to do so, by an event that may be lost.
  sent_at timestamptz default clock_timestamp(),
  -- Failed looks since the last one that succeeded.
  attempts integer not null default 0,
  last_error text,
  -- Looks that found a subscription without the configuration it needs.
  incomplete_looks integer not null default 0,
  fence bigint not null default 0,
  leased_until timestamptz,
  looked_at timestamptz
);
create index kill_bill_accounts_due on kill_bill_accounts (look_at) where look_at is not null;

-- What we last said of a subscription, and with which number.
create table kill_bill_subscriptions (
  id text primary key,
  account_id text not null references kill_bill_accounts (id),
  sequence bigint not null check (sequence > 0),
  state jsonb not null check (jsonb_typeof(state) = 'object'),
  updated_at timestamptz not null default clock_timestamp()
);
create index kill_bill_subscriptions_account on kill_bill_subscriptions (account_id);

-- Payments that were announced, so that each is once: `paid <invoice>`, `failed <transaction>`.
create table kill_bill_payments (
  account_id text not null references kill_bill_accounts (id),
  name text not null,
  told_at timestamptz not null default clock_timestamp(),
  primary key (account_id, name)
);
create index kill_bill_payments_told on kill_bill_payments (told_at);

-- The billing service holds the subscription: its instance is suspended until it goes on.
alter table subscriptions
  add column paused boolean not null default false,
  -- Null: it never had one. A customer has one trial for life.
  add column trial text check (trial in ('granted', 'refused'));
update subscriptions set trial = 'granted' where phase = 'trial';

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
