-- Up Migration

-- Events about objects of a cluster are many and mean nothing a day later; what is kept for 90 days must not stand in
-- the way of finding them. Each row is in one of the two.
drop index inbox_received;
create index inbox_received on inbox (received_at) where type not like 'dev.knative.%';
create index inbox_hints on inbox (received_at) where type like 'dev.knative.%';

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
