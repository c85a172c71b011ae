-- Up Migration

-- W3C trace context of the request that asked for the operation: whoever goes on with it later, by a tick or by what the
-- cluster reports, goes on in that trace. Null for older operations.
alter table operations add column traceparent text check (length(traceparent) <= 64);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
