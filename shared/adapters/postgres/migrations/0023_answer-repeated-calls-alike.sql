-- Up Migration

-- What a caller was answered the first time under a key of his own: written with what the call brought about, so that
-- the same call again is answered alike and does nothing.
create table idempotency_keys (
  actor text not null,
  key text not null check (length(key) between 1 and 128),
  -- sha256 of what was asked
  request_hash bytea not null,
  status integer check (status between 200 and 299),
  headers jsonb,
  body jsonb,
  created_at timestamptz not null default clock_timestamp(),
  primary key (actor, key),
  constraint idempotency_keys_answer check ((status is null) = (headers is null))
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
