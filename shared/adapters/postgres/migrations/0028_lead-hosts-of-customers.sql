-- Up Migration

-- Hosts of customers' own that are to lead to their instances. Several may ask for a host; one can have proven it.
create table custom_domains (
  host text not null check (length(host) <= 253 and host ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'),
  instance_id text not null references instances (id),
  -- What has to be in a TXT record of the host; no secret.
  token text not null check (token ~ '^[a-z2-7]{32}$'),
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  verified_at timestamptz,
  primary key (instance_id, host)
);
create unique index custom_domains_owner on custom_domains (host) where verified_at is not null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
