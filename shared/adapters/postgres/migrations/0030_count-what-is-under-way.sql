-- Up Migration

-- What is asked for anew counts its tries from the beginning; what tells its senders apart must not begin again.
alter table webhook_deliveries
  add column fence integer not null default 0 constraint webhook_deliveries_fence check (fence >= 0),
  -- While a sender has it, and until it says what became of it.
  add column leased_until timestamptz;
-- Before each delivery, how many of its endpoint are under way.
create index webhook_deliveries_leased on webhook_deliveries (endpoint_id, leased_until) where leased_until is not null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
