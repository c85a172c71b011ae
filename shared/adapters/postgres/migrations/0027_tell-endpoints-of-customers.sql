-- Up Migration

-- Where customers are told of events. Rows stay after deletion until their deliveries are forgotten.
create table webhook_endpoints (
  id uuid primary key,
  customer_id text not null check (length(customer_id) between 1 and 64),
  url text not null check (length(url) between 1 and 2000),
  description text not null default '' check (length(description) <= 200),
  -- Empty: all that customers may see.
  types text[] not null default '{}',
  -- Events from before are none of its: when it was made, or its types were changed last.
  since timestamptz not null default clock_timestamp(),
  -- Wrapped; bound to the row's id.
  secret text check (length(secret) <= 200),
  -- The one before, which signs beside it for a while.
  previous_secret text check (length(previous_secret) <= 200),
  previous_until timestamptz,
  disabled_reason text check (disabled_reason in ('customer', 'gone', 'failing')),
  disabled_at timestamptz,
  -- The first failure since the last success.
  failing_since timestamptz,
  last_success_at timestamptz,
  generation integer not null default 1 check (generation > 0),
  created_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  constraint webhook_endpoints_disabled check ((disabled_reason is null) = (disabled_at is null)),
  constraint webhook_endpoints_previous check ((previous_secret is null) = (previous_until is null)),
  constraint webhook_endpoints_secret check ((secret is null) = (deleted_at is not null))
);
create index webhook_endpoints_customer on webhook_endpoints (customer_id, created_at) where deleted_at is null;

-- The last number given, per endpoint and instance; locked by whoever gives the next one.
create table webhook_sequences (
  endpoint_id uuid not null references webhook_endpoints (id) on delete cascade,
  -- Empty: of no instance.
  stream text not null check (length(stream) <= 12),
  last bigint not null default 0 check (last >= 0),
  primary key (endpoint_id, stream)
);

-- Events on their way to endpoints.
create table webhook_deliveries (
  id uuid primary key,
  endpoint_id uuid not null references webhook_endpoints (id) on delete cascade,
  event_id uuid not null,
  type text not null check (length(type) <= 200),
  instance_id text,
  -- As in webhook_sequences.
  stream text not null,
  sequence bigint not null check (sequence > 0),
  -- What is signed and sent, byte for byte.
  body text not null,
  state text not null check (state in ('waiting', 'succeeded', 'failed', 'held')),
  -- Tries since it was last asked for, the one that is under way included.
  attempts integer not null default 0 check (attempts >= 0),
  -- The first of them.
  begun_at timestamptz,
  -- While a sender has it: when its lease ends.
  next_attempt_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  delivered_at timestamptz,
  constraint webhook_deliveries_event unique (endpoint_id, event_id),
  constraint webhook_deliveries_sequence unique (endpoint_id, stream, sequence),
  constraint webhook_deliveries_waiting check ((state = 'waiting') = (next_attempt_at is not null)),
  constraint webhook_deliveries_delivered check ((state = 'succeeded') = (delivered_at is not null))
);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_attempt_at) where state = 'waiting';
create index webhook_deliveries_list on webhook_deliveries (endpoint_id, created_at);
create index webhook_deliveries_old on webhook_deliveries (created_at) where state <> 'waiting';

-- Tries that have ended, for whoever looks for what is wrong with a receiver.
create table webhook_attempts (
  sequence bigint generated always as identity primary key,
  delivery_id uuid not null references webhook_deliveries (id) on delete cascade,
  at timestamptz not null default clock_timestamp(),
  -- Null: there was no answer.
  status integer,
  -- Null: it was taken.
  error text check (length(error) <= 300),
  milliseconds integer not null check (milliseconds >= 0)
);
create index webhook_attempts_delivery on webhook_attempts (delivery_id, sequence);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
