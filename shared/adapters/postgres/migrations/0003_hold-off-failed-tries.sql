-- Up Migration

-- A try that failed is not repeated before this, whoever asks; else every event that comes meanwhile would use one up.
alter table operations add column not_before timestamptz;

-- What waits is read in this order: after an outage of the broker there is much of it.
drop index outbox_waiting;
create index outbox_waiting on outbox (attempts, sequence) where published_at is null;
create index outbox_published on outbox (published_at) where published_at is not null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
