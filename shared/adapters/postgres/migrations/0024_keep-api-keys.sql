-- Up Migration

-- What programs and people without a token of an issuer ask the API with. The keys themselves are kept nowhere.
create table api_keys (
  id text primary key check (id ~ '^[a-z2-7]{16}$'),
  name text not null check (length(name) between 1 and 100),
  secret_sha256 bytea not null check (length(secret_sha256) = 32),
  role text not null check (role in ('customer', 'support', 'admin', 'service')),
  customer_id text references customers (id),
  scopes text[] not null check (cardinality(scopes) > 0),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  revoked_by text,
  -- A minute's precision.
  last_used_at timestamptz,
  constraint api_keys_owner check (case role when 'customer' then customer_id is not null
    when 'service' then true else customer_id is null end),
  constraint api_keys_revoked check ((revoked_at is null) = (revoked_by is null))
);
create index api_keys_customer on api_keys (customer_id, created_at desc, id);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
