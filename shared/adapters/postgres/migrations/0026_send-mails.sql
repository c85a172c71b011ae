-- Up Migration

-- Mails on their way, one per event that asks for one. The text is not kept: it is made anew for each try.
create table mails (
  -- The event's.
  id uuid primary key,
  template text not null check (length(template) between 1 and 60),
  instance_id text not null,
  customer_id text not null,
  operation_id uuid not null,
  -- In lower case.
  address text not null check (length(address) between 3 and 254),
  language text not null check (length(language) <= 24),
  state text not null check (state in ('queued', 'sent', 'failed', 'bounced')),
  -- Tries, the one that is under way included: its number is the sender's fence.
  attempts integer not null default 0 check (attempts >= 0),
  -- While a sender has it: when its lease ends.
  next_attempt_at timestamptz,
  last_error text check (length(last_error) <= 300),
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint mails_queued check ((state = 'queued') = (next_attempt_at is not null)),
  constraint mails_ended check ((state = 'queued') = (ended_at is null))
);
create index mails_due on mails (next_attempt_at) where state = 'queued';
create index mails_instance on mails (instance_id, created_at);
create index mails_old on mails (created_at) where state <> 'queued';

-- Addresses that do not exist, by the word of a mail server. Nothing is sent to them until a person clears the row.
create table bounced_addresses (
  -- In lower case.
  address text primary key check (length(address) between 3 and 254),
  reason text not null check (length(reason) <= 300),
  bounced_at timestamptz not null default clock_timestamp()
);

-- One-time links to the first password of an administrator. The link's token opens `sealed`, and is nowhere here.
create table first_logins (
  token_sha256 bytea primary key check (length(token_sha256) = 32),
  instance_id text not null,
  sealed bytea not null check (length(sealed) <= 1000),
  expires_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp()
);
create index first_logins_instance on first_logins (instance_id);
create index first_logins_expired on first_logins (expires_at);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
